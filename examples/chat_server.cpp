// A room in which everybody reads what everybody else writes, a line at a time.
//
//     chat_server [address]         127.0.0.1:7342 unless told otherwise; then, twice: nc localhost 7342
//
// What is said is queued for each guest and sent as fast as that guest reads. The queue is bounded:
// whoever falls too far behind is dropped, and the room is told.
#include <array>
#include <cstdio>
#include <list>
#include <string>
#include <string_view>

#include <selectors/async.hpp>

namespace sel = selectors;

constexpr std::size_t longest_line = 1024;        // a longer one is cut in two
constexpr std::size_t longest_queue = 64 * 1024;  // what a guest may leave unread

struct guest {
    sel::socket socket;
    std::string name;
    sel::watch watch{};
    std::string line{};            // as far as it has come
    std::string unread{};          // said by others, and not yet taken
    const char* leaves = nullptr;  // why, once it does
};

class chat_server {
  public:
    explicit chat_server(std::string_view address)
        : door_{loop_, sel::listen(address),
                [this](sel::accepted peer) { welcome(std::move(peer.socket)); }} {
        std::printf("listening on %s\n", door_.local_address().text().c_str());
        std::fflush(stdout);
    }

    void run() { loop_.run(); }

  private:
    void welcome(sel::socket socket) {
        const std::string name = "guest " + std::to_string(++count_);
        guest& in = guests_.emplace_back(std::move(socket), name);
        in.watch = loop_.watch(in.socket, sel::event::read, [this, &in](sel::event events) {
            if (!serve(in, events)) leave(in, "has left");
        });
        tell(in, "*** welcome, you are " + name + "\n");
        tell_others(&in, "*** " + name + " has come\n");
    }

    /// False if the guest is gone.
    bool serve(guest& from, sel::event events) {
        if (events & sel::event::write && !write(from)) return false;
        return !(events & sel::event::read) || read(from);
    }

    bool write(guest& to) {
        const auto sent = to.socket.send(to.unread);
        if (!sent) return sent.error() == sel::errc::would_block;
        to.unread.erase(0, *sent);
        if (to.unread.empty()) to.watch.modify(sel::event::read);
        return true;
    }

    bool read(guest& from) {
        std::array<char, 4096> buffer;
        const auto size = from.socket.recv(buffer);
        if (!size) return size.error() == sel::errc::would_block;
        std::string said;
        for (const char each : std::string_view{buffer.data(), *size}) {
            if (each != '\n' && each != '\r') from.line += each;
            if ((each == '\n' && !from.line.empty()) || from.line.size() == longest_line) {
                said += from.name + ": " + from.line + "\n";
                from.line.clear();
            }
        }
        tell_others(&from, said);
        return *size > 0;
    }

    void tell_others(const guest* but, std::string_view what) {
        if (what.empty()) return;
        for (guest& each : guests_)
            if (&each != but) tell(each, what);
    }

    /// Only queues; the next turn sends all that was said in this one.
    void tell(guest& whom, std::string_view what) {
        if (whom.leaves) return;
        whom.unread += what;
        if (whom.unread.size() > longest_queue)
            leave(whom, "reads too slowly and was dropped");
        else
            whom.watch.modify(sel::event::read | sel::event::write);
    }

    /// Only noted, for somebody may be telling everybody right now.
    void leave(guest& who, const char* why) {
        if (who.leaves) return;
        who.leaves = why;
        who.watch.modify(sel::event::none);
        loop_.defer([this, &who] {
            const std::string farewell = "*** " + who.name + " " + who.leaves + "\n";
            guests_.remove_if([&](const guest& each) { return &each == &who; });
            tell_others(nullptr, farewell);
        });
    }

    sel::loop loop_;
    sel::listener door_;
    std::list<guest> guests_;
    int count_ = 0;
};

int main(int argc, char** argv) try {
    chat_server{argc > 1 ? argv[1] : "127.0.0.1:7342"}.run();
} catch (const std::exception& problem) {
    std::fprintf(stderr, "chat_server: %s\n", problem.what());
    return 2;
}
