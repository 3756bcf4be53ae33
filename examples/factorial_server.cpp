// Answers every line, a number n, with n! by Spouge's formula, how far off that is, and how far off
// the formula promises to be at most.
//
//     factorial_server [address]    127.0.0.1:7342 unless told otherwise; then: nc localhost 7342
//
// The formula is in spouge.hpp, what is said to a line in factorial.hpp; here is the serving.
#include <array>
#include <cstdio>
#include <list>
#include <string>
#include <string_view>

#include <selectors/async.hpp>

#include "factorial.hpp"

namespace sel = selectors;

class factorial_server {
  public:
    explicit factorial_server(std::string_view address)
        : door_{loop_, sel::listen(address),
                [this](sel::accepted peer) { admit(std::move(peer.socket)); }} {
        std::printf("listening on %s\n", door_.local_address().text().c_str());
        std::fflush(stdout);
    }

    void run() { loop_.run(); }

  private:
    struct client {
        sel::socket socket;
        sel::watch watch{};
        std::string line{};     // as far as it has come
        std::string answers{};  // not yet taken by the peer
        bool finished = false;  // the peer has sent its last line
    };

    void admit(sel::socket socket) {
        const auto at = clients_.insert(clients_.end(), client{std::move(socket)});
        at->watch = loop_.watch(at->socket, sel::event::read, [this, at](sel::event events) {
            if (!serve(*at, events)) clients_.erase(at);  // safe here, in its own callback
        });
    }

    /// False if the connection is over.
    bool serve(client& c, sel::event events) {
        if (events & sel::event::read && !read(c)) return false;
        if (!c.answers.empty()) {
            const auto sent = c.socket.send(c.answers);
            if (!sent && sent.error() != sel::errc::would_block) return false;
            c.answers.erase(0, sent.value_or(0));
        }
        if (c.finished && c.answers.empty()) return false;
        // Whoever does not read the answers is asked no further questions: memory stays bounded.
        c.watch.modify(c.answers.empty() ? sel::event::read : sel::event::write);
        return true;
    }

    bool read(client& c) {
        std::array<char, 1024> buffer;
        const auto size = c.socket.recv(buffer);
        if (!size) return size.error() == sel::errc::would_block;
        for (const char each : std::string_view{buffer.data(), *size})
            if (each == '\n')
                answer(c);
            else if (c.line.size() <= spouge::longest_line)  // of a longer one the rest is let go
                c.line += each;
        if (*size == 0) {
            c.finished = true;
            if (!c.line.empty()) answer(c);
        }
        return true;
    }

    void answer(client& c) {
        c.answers += c.line.size() > spouge::longest_line ? spouge::too_long : spouge::answer(c.line);
        c.answers += '\n';
        c.line.clear();
    }

    sel::loop loop_;
    sel::listener door_;
    std::list<client> clients_;
};

int main(int argc, char** argv) try {
    factorial_server{argc > 1 ? argv[1] : "127.0.0.1:7342"}.run();
} catch (const std::exception& problem) {
    std::fprintf(stderr, "factorial_server: %s\n", problem.what());
    return 2;
}
