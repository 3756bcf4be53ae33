// Answers every line, a number n, with n! by Spouge's formula, how far off that is, and how far off
// the formula promises to be at most.
//
//     factorial_server [address]    127.0.0.1:7342 unless told otherwise; then: nc localhost 7342
//
// The formula is in spouge.hpp, what is said to a line in factorial.hpp; here is the serving.
#include <array>
#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>

#include <selectors/selectors.hpp>

#include "factorial.hpp"

namespace sel = selectors;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

struct client {
    sel::socket socket{};   // none for the listener, which is the same bag's
    std::string line{};     // as far as it has come
    std::string answers{};  // not yet taken by the peer
    bool finished = false;  // the peer has sent its last line
};

class factorial_server {
  public:
    explicit factorial_server(std::string_view address) : listener_{sel::listen(address)} {
        bag_.add(listener_, sel::event::read);
        std::printf("listening on %s\n", sel::or_throw(listener_.local_address()).text().c_str());
        std::fflush(stdout);
    }

    void run() {
        for (;;) {
            for (auto [key, events] : bag_.select_until(rest_until_)) {
                if (key.socket() == listener_)
                    (events & sel::event::error) ? rest() : accept_clients();
                else if (events & sel::event::error || !serve(key, events))
                    bag_.remove(key);
            }
            if (steady_clock::now() >= rest_until_) resume();
        }
    }

  private:
    using client_key = sel::key<client>;

    void accept_clients() {
        for (int i = 0; i < 64; ++i) {
            auto accepted = listener_.accept(sel::nonblocking);
            if (accepted)
                bag_.add(client{std::move(accepted->socket)}, sel::event::read);
            else if (accepted.error() == sel::errc::would_block)
                return;
            else if (accepted.error() != sel::errc::reset)  // gone before it was accepted: the next
                return rest();
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

    /// False if the connection is over.
    bool serve(const client_key& peer, sel::event events) {
        client& c = peer.data;
        if (events & sel::event::read && !read(c)) return false;
        if (!c.answers.empty()) {
            const auto sent = c.socket.send(c.answers);
            if (!sent && sent.error() != sel::errc::would_block) return false;
            c.answers.erase(0, sent.value_or(0));
        }
        if (c.finished && c.answers.empty()) return false;
        // Whoever does not read the answers is asked no further questions: memory stays bounded.
        bag_.modify(peer, c.answers.empty() ? sel::event::read : sel::event::write);
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

    sel::socket listener_;
    sel::selector<client> bag_;
    steady_clock::time_point rest_until_ = steady_clock::time_point::max();  // not resting
};

int main(int argc, char** argv) try {
    factorial_server{argc > 1 ? argv[1] : "127.0.0.1:7342"}.run();
} catch (const std::exception& problem) {
    std::fprintf(stderr, "factorial_server: %s\n", problem.what());
    return 2;
}
