#include <string>
#include <vector>

#include "services.hpp"

namespace app {
namespace {

constexpr std::size_t longest_line = 1024;
/// What a guest may leave unread, besides what its kernel keeps for it.
constexpr std::size_t longest_queue = 256 * 1024;

std::string name_of(const peer& guest) {
    return "guest " + std::to_string(guest.number());
}

class chat final : public service {
  public:
    void joined(peer& guest) override {
        guests_.push_back(&guest);
        guest.send("*** welcome, you are " + name_of(guest) +
                   "; guests here: " + std::to_string(guests_.size()) + "\n");
        tell_others(guest, "*** " + name_of(guest) + " has come\n");
    }

    void arrived(peer& from, std::string_view bytes) override {
        std::string said;
        from.lines.feed(bytes, longest_line,
                        [&](std::string_view line) { said += spoken(from, line); });
        tell_others(from, said);
    }

    void finished(peer& from) override {
        from.lines.finish_stream([&](std::string_view line) { tell_others(from, spoken(from, line)); });
    }

    void left(peer& guest) override {
        std::erase(guests_, &guest);
        tell_others(guest, "*** " + name_of(guest) + " has left\n");
    }

    std::size_t most_at_once() const noexcept override { return 4096; }

  private:
    /// What the others get to read of a line.
    static std::string spoken(peer& from, std::string_view line) {
        if (line.empty()) return {};
        if (line.size() <= longest_line) return name_of(from) + ": " + std::string{line} + "\n";
        from.send("*** that line is longer than 1024 characters and was not passed on\n");
        return {};
    }

    void tell_others(const peer& but, std::string_view what) {
        for (peer* each : guests_) {
            if (each == &but) continue;
            each->send(what);
            if (each->pending() > longest_queue)
                each->dismiss("*** you read too slowly for this room; good bye\n");
        }
    }

    std::vector<peer*> guests_;
};

}  // namespace

std::unique_ptr<service> make_chat() {
    return std::make_unique<chat>();
}

}  // namespace app
