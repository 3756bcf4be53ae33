// A room in which everybody reads what everybody else writes, a line at a time.
//
//     chat_server [address]         127.0.0.1:7342 unless told otherwise; then, twice: nc localhost 7342
//
// What is said is queued for each guest and sent as fast as that guest reads. The queue is bounded:
// whoever falls too far behind is dropped, and the room is told.
#include <array>
#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include <selectors/selectors.hpp>

namespace sel = selectors;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

constexpr std::size_t longest_line = 1024;        // a longer one is cut in two
constexpr std::size_t longest_queue = 64 * 1024;  // what a guest may leave unread

struct guest {
    sel::socket socket{};  // none for the listener, which is the same bag's
    std::string name{};
    std::string line{};            // as far as it has come
    std::string unread{};          // said by others, and not yet taken
    const char* leaves = nullptr;  // why, once it does
};

class chat_server {
  public:
    explicit chat_server(std::string_view address) : listener_{sel::listen(address)} {
        bag_.add(listener_, sel::event::read);
        std::printf("listening on %s\n", sel::or_throw(listener_.local_address()).text().c_str());
        std::fflush(stdout);
    }

    void run() {
        for (;;) {
            for (auto [key, events] : bag_.select_until(rest_until_)) {
                if (key.socket() == listener_)
                    (events & sel::event::error) ? rest() : welcome();
                else if (events & sel::event::error || !serve(key, events))
                    leave(key, "has left");
            }
            see_off();
            if (steady_clock::now() >= rest_until_) resume();
        }
    }

  private:
    using guest_key = sel::key<guest>;

    void welcome() {
        for (int i = 0; i < 64; ++i) {
            auto client = listener_.accept(sel::nonblocking);
            if (client) {
                const std::string name = "guest " + std::to_string(++guests_);
                const guest_key in = bag_.add(guest{std::move(client->socket), name}, sel::event::read);
                tell(in, "*** welcome, you are " + name + "\n");
                tell_others(in.socket(), "*** " + name + " has come\n");
            } else if (client.error() == sel::errc::would_block) {
                return;
            } else if (client.error() != sel::errc::reset) {  // gone before it was accepted: the next
                return rest();
            }
        }
    }

    /// No descriptor or no memory left: not asking for a while keeps the listener from spinning.
    void rest() {
        bag_.modify(listener_, sel::event::none);
        rest_until_ = steady_clock::now() + 100ms;
    }
    void resume() {
        bag_.modify(listener_, sel::event::read);
        rest_until_ = steady_clock::time_point::max();
    }

    /// False if the guest is gone.
    bool serve(const guest_key& from, sel::event events) {
        if (events & sel::event::write && !write(from)) return false;
        return !(events & sel::event::read) || read(from);
    }

    bool write(const guest_key& to) {
        std::string& unread = to.data.unread;
        const auto sent = to.socket().send(unread);
        if (!sent) return sent.error() == sel::errc::would_block;
        unread.erase(0, *sent);
        if (unread.empty()) bag_.modify(to, sel::event::read);
        return true;
    }

    bool read(const guest_key& from) {
        std::array<char, 4096> buffer;
        const auto size = from.socket().recv(buffer);
        if (!size) return size.error() == sel::errc::would_block;
        std::string said;
        for (const char each : std::string_view{buffer.data(), *size}) {
            std::string& line = from.data.line;
            if (each != '\n' && each != '\r') line += each;
            if ((each == '\n' && !line.empty()) || line.size() == longest_line) {
                said += from.data.name + ": " + line + "\n";
                line.clear();
            }
        }
        tell_others(from.socket(), said);
        return *size > 0;
    }

    void tell_others(sel::socket_view but, std::string_view what) {
        if (what.empty()) return;
        for (auto each : bag_.keys())
            if (each.socket() != listener_ && each.socket() != but) tell(each, what);
    }

    /// Only queues; the next round sends all that was said in this one.
    void tell(const guest_key& whom, std::string_view what) {
        if (whom.data.leaves) return;
        whom.data.unread += what;
        if (whom.data.unread.size() > longest_queue)
            leave(whom, "reads too slowly and was dropped");
        else
            bag_.modify(whom, sel::event::read | sel::event::write);
    }

    /// Only noted, for somebody may be telling everybody right now.
    void leave(const guest_key& who, const char* why) {
        if (who.data.leaves) return;
        who.data.leaves = why;
        leaving_.push_back(who);
    }

    /// To say that one has left may be too much for the next: until nobody is left to leave.
    void see_off() {
        while (!leaving_.empty()) {
            const guest left = bag_.remove(leaving_.back());
            leaving_.pop_back();
            tell_others({}, "*** " + left.name + " " + left.leaves + "\n");
        }
    }

    sel::socket listener_;
    sel::selector<guest> bag_;
    std::vector<guest_key> leaving_;
    int guests_ = 0;
    steady_clock::time_point rest_until_ = steady_clock::time_point::max();  // not resting
};

int main(int argc, char** argv) try {
    chat_server{argc > 1 ? argv[1] : "127.0.0.1:7342"}.run();
} catch (const std::exception& problem) {
    std::fprintf(stderr, "chat_server: %s\n", problem.what());
    return 2;
}
