// An echo server as one runs it: one thread, any number of connections, bounded memory.
//
//     echo_server [address]         127.0.0.1:7342 unless told otherwise; port 0 lets the system choose
//
// The bag owns the connections, and removing one closes it. A peer that does not read is not read
// from either: at most one buffer waits for it. Where no descriptor is left for another connection,
// the listener rests for a while instead of failing thousands of times a second.
#include <array>
#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>

#include <selectors/selectors.hpp>

namespace sel = selectors;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

struct connection {
    sel::socket socket{};   // none for the listener, which is the same bag's
    std::string pending{};  // received, and not yet taken back by the peer
};

class echo_server {
  public:
    explicit echo_server(std::string_view address) : listener_{sel::listen(address)} {
        bag_.add(listener_, sel::event::read);
        std::printf("listening on %s\n", sel::or_throw(listener_.local_address()).text().c_str());
        std::fflush(stdout);
    }

    void run() {
        for (;;) {
            for (auto [key, events] : bag_.select_until(rest_until_)) {
                if (key.socket() == listener_)
                    (events & sel::event::error) ? rest() : accept_connections();
                else if (events & sel::event::error || !serve(key, events))
                    close(key);
            }
            if (resting() && steady_clock::now() >= rest_until_) resume();
        }
    }

  private:
    using connection_key = sel::key<connection>;

    /// So many at a time, so that a crowd at the door does not keep those inside waiting.
    void accept_connections() {
        for (int i = 0; i < 64; ++i) {
            auto client = listener_.accept(sel::nonblocking);
            if (client)
                bag_.add(connection{std::move(client->socket)}, sel::event::read);
            else if (client.error() == sel::errc::would_block)
                return;
            else if (client.error() != sel::errc::reset)  // gone before it was accepted: the next
                return rest();
        }
    }

    /// No descriptor or no memory left: the connection stays in the queue and the listener ready.
    void rest() {
        bag_.modify(listener_, sel::event::none);
        rest_until_ = steady_clock::now() + 100ms;
    }
    void resume() {
        bag_.modify(listener_, sel::event::read);
        rest_until_ = steady_clock::time_point::max();
    }
    bool resting() const { return rest_until_ != steady_clock::time_point::max(); }

    /// These three are false if the connection is over.
    bool serve(const connection_key& peer, sel::event events) {
        return events & sel::event::write ? write(peer) : read(peer);
    }
    bool read(const connection_key& peer) {
        auto size = peer.socket().recv(buffer_);
        if (!size) return size.error() == sel::errc::would_block;
        if (*size == 0) return false;  // the peer has finished, and everything was sent back
        const std::string_view message{buffer_.data(), *size};
        const auto sent = peer.socket().send(message);
        if (!sent && sent.error() != sel::errc::would_block) return false;
        peer.data.pending = message.substr(sent.value_or(0));
        // Nothing more is read before the peer has taken this.
        if (!peer.data.pending.empty()) bag_.modify(peer, sel::event::write);
        return true;
    }

    bool write(const connection_key& peer) {
        const auto sent = peer.socket().send(peer.data.pending);
        if (!sent) return sent.error() == sel::errc::would_block;
        peer.data.pending.erase(0, *sent);
        if (peer.data.pending.empty()) bag_.modify(peer, sel::event::read);
        return true;
    }

    void close(const connection_key& peer) {
        bag_.remove(peer);
        if (resting()) resume();  // there is a descriptor again
    }

    sel::socket listener_;
    sel::selector<connection> bag_;
    steady_clock::time_point rest_until_ = steady_clock::time_point::max();  // not resting
    std::array<char, 64 * 1024> buffer_;
};

int main(int argc, char** argv) try {
    echo_server{argc > 1 ? argv[1] : "127.0.0.1:7342"}.run();
} catch (const std::exception& problem) {
    std::fprintf(stderr, "echo_server: %s\n", problem.what());
    return 2;
}
