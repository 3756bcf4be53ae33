// An echo server as one runs it: one thread, any number of connections, bounded memory.
//
//     echo_server [address]         127.0.0.1:7342 unless told otherwise; port 0 lets the system choose
//
// Each connection owns its socket and the watch on it; erasing it closes both. A peer that does not read
// is not read from either: at most one buffer waits for it. Where no descriptor is left for another
// connection, the listener rests until there is one.
#include <array>
#include <cstdio>
#include <list>
#include <string>
#include <string_view>

#include <selectors/async.hpp>

namespace sel = selectors;

class echo_server {
  public:
    explicit echo_server(std::string_view address)
        : door_{loop_, sel::listen(address),
                [this](sel::accepted peer) { admit(std::move(peer.socket)); }} {
        std::printf("listening on %s\n", door_.local_address().text().c_str());
        std::fflush(stdout);
    }

    void run() { loop_.run(); }

  private:
    struct connection {
        sel::socket socket;
        sel::watch watch{};
        std::string pending{};  // received, and not yet taken back by the peer
    };
    using place = std::list<connection>::iterator;

    void admit(sel::socket socket) {
        const place at = connections_.insert(connections_.end(), connection{std::move(socket)});
        at->watch = loop_.watch(at->socket, sel::event::read, [this, at](sel::event events) {
            const bool lives = events & sel::event::write ? write(*at) : read(*at);
            if (!lives) connections_.erase(at);  // safe here, in its own callback
        });
    }

    /// These two are false if the connection is over.
    bool read(connection& peer) {
        auto size = peer.socket.recv(buffer_);
        if (!size) return size.error() == sel::errc::would_block;
        if (*size == 0) return false;  // the peer has finished, and everything was sent back
        const std::string_view message{buffer_.data(), *size};
        const auto sent = peer.socket.send(message);
        if (!sent && sent.error() != sel::errc::would_block) return false;
        peer.pending = message.substr(sent.value_or(0));
        // Nothing more is read before the peer has taken this.
        if (!peer.pending.empty()) peer.watch.modify(sel::event::write);
        return true;
    }

    bool write(connection& peer) {
        const auto sent = peer.socket.send(peer.pending);
        if (!sent) return sent.error() == sel::errc::would_block;
        peer.pending.erase(0, *sent);
        if (peer.pending.empty()) peer.watch.modify(sel::event::read);
        return true;
    }

    sel::loop loop_;
    sel::listener door_;
    std::list<connection> connections_;
    std::array<char, 64 * 1024> buffer_;
};

int main(int argc, char** argv) try {
    echo_server{argc > 1 ? argv[1] : "127.0.0.1:7342"}.run();
} catch (const std::exception& problem) {
    std::fprintf(stderr, "echo_server: %s\n", problem.what());
    return 2;
}
