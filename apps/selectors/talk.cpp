#include "talk.hpp"

#include <array>
#include <cstdio>
#include <string_view>

#include <selectors/selectors.hpp>

#include "platform.hpp"

namespace sel = selectors;

namespace app {
namespace {

/// Waits for the connect to end, one way or the other.
sel::result<sel::socket> connect_to(const sel::address& peer) {
    auto socket = sel::connect(peer);
    if (!socket) return socket;
    sel::selector bag;
    bag.add(*socket, sel::event::write);
    while (bag.select().empty()) {
    }
    if (const auto made = socket->finish_connect(); !made) return std::unexpected{made.error()};
    return socket;
}

/// A name may have several addresses, and the server listen on any of them.
sel::result<sel::socket> connect_to_any(const sel::address_list& peers) {
    auto socket = connect_to(peers[0]);
    for (std::size_t i = 1; i < peers.size() && !socket; ++i) socket = connect_to(peers[i]);
    return socket;
}

class conversation {
  public:
    explicit conversation(sel::socket peer) : peer_{std::move(peer)} {
        bag_.add(peer_, sel::event::read);
        try {
            bag_.add(keyboard_.view(), sel::event::read);
        } catch (const std::system_error&) {
            finish_sending();  // stdin was closed before we began
        }
    }

    /// The process's exit code.
    int run() {
        while (!over_)
            for (auto [key, events] : bag_.select()) {
                if (key.socket() == keyboard_.view())
                    read_terminal();
                else
                    serve_peer(events);
                if (over_) break;
            }
        return code_;
    }

  private:
    void read_terminal() {
        const auto size = keyboard_.read(buffer_);
        if (!size && size.error() == sel::errc::would_block) return;
        if (!size || *size == 0) {
            bag_.remove(keyboard_.view());
            return finish_sending();
        }
        unsent_ = std::string_view{buffer_.data(), *size};
        send();
    }

    /// Nothing more is read from the terminal before the peer has taken what there is.
    void send() {
        const auto sent = peer_.send(unsent_);
        if (!sent && sent.error() != sel::errc::would_block) return stop_sending(sent.error());
        unsent_.erase(0, sent.value_or(0));
        bag_.modify(peer_, unsent_.empty() ? sel::event::read : sel::event::read | sel::event::write);
        bag_.modify(keyboard_.view(), unsent_.empty() ? sel::event::read : sel::event::none);
    }

    /// stdin is at its end. All of it is sent, for it is read only when nothing waits.
    void finish_sending() { peer_.shutdown(sel::shutdown_side::write); }

    /// The peer takes nothing more; what it had said before is still to be read.
    void stop_sending(std::error_code why) {
        unsent_.clear();
        bag_.remove(keyboard_.view());
        bag_.modify(peer_, sel::event::read);
        fail("the peer does not take what is sent", why);
    }

    void serve_peer(sel::event events) {
        if (events & sel::event::write && !unsent_.empty()) send();
        if (!(events & sel::event::read)) return;
        const auto size = peer_.recv(buffer_);
        if (!size && size.error() == sel::errc::would_block) return;
        if (!size) fail("the connection broke", size.error());
        if (!size || *size == 0) {
            over_ = true;
            return;
        }
        std::fwrite(buffer_.data(), 1, *size, stdout);
        std::fflush(stdout);
    }

    void fail(const char* what, std::error_code why) {
        if (code_ == 0) std::fprintf(stderr, "selectors: %s: %s\n", what, why.message().c_str());
        code_ = 1;
    }

    sel::socket peer_;
    keyboard keyboard_;
    sel::selector<> bag_;
    std::string unsent_;
    bool over_ = false;
    int code_ = 0;
    std::array<char, 16 * 1024> buffer_;
};

}  // namespace

int talk(const std::string& address) {
    const auto peers = sel::or_throw(sel::resolve(address), address.c_str());
    auto peer = connect_to_any(peers);
    if (!peer) {
        std::fprintf(stderr, "selectors: cannot connect to %s: %s%s\n", address.c_str(),
                     peer.error().message().c_str(),
                     peer.error() == sel::errc::refused ? "; is a server running there?" : "");
        return 1;
    }
    return conversation{*std::move(peer)}.run();
}

}  // namespace app
