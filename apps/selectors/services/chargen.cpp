#include <string>

#include "services.hpp"

namespace app {
namespace {

/// The pattern that RFC 864 shows: 72 of the 95 printable characters a line, each line beginning one
/// further. After 95 lines it begins anew, so that sending those over and over is all there is to do.
std::string pattern() {
    constexpr int printable = '~' - ' ' + 1;
    std::string text;
    for (int line = 0; line < printable; ++line) {
        for (int column = 0; column < 72; ++column)
            text += static_cast<char>(' ' + (line + column) % printable);
        text += "\r\n";
    }
    return text;
}

class chargen final : public service {
  public:
    void arrived(peer&, std::string_view) override {}
    bool talkative() const noexcept override { return true; }
    void room(peer& to) override { to.send(pattern_); }

  private:
    const std::string pattern_ = pattern();
};

}  // namespace

std::unique_ptr<service> make_chargen() {
    return std::make_unique<chargen>();
}

}  // namespace app
