#include "../../../examples/factorial.hpp"

#include <string>

#include "services.hpp"

namespace app {
namespace {

class factorial final : public service {
  public:
    void arrived(peer& from, std::string_view bytes) override {
        std::string answers;
        from.lines.feed(bytes, spouge::longest_line,
                        [&](std::string_view line) { answers += answer(line); });
        from.send(answers);
    }
    void finished(peer& from) override {
        from.lines.finish_stream([&](std::string_view line) { from.send(answer(line)); });
    }
    /// Two bytes of question are some hundred bytes of answer.
    std::size_t most_at_once() const noexcept override { return 1024; }

  private:
    static std::string answer(std::string_view line) {
        const bool too_long = line.size() > spouge::longest_line;
        return (too_long ? std::string{spouge::too_long} : spouge::answer(line)) + "\n";
    }
};

}  // namespace

std::unique_ptr<service> make_factorial() {
    return std::make_unique<factorial>();
}

}  // namespace app
