// The bag as a user has it: the connection is what is attached to its socket, and removing the one closes the other. One
// buffer for all reading; a connection has one of its own only while its peer does not read.
#include <array>
#include <cstdlib>
#include <string>
#include <string_view>

#include <selectors/selectors.hpp>

#include "server.hpp"

namespace sel = selectors;

namespace {

struct connection {
    sel::socket socket;
    std::string pending{};  ///< what the peer has not taken yet
};

using bag = sel::selector<connection>;

std::array<char, bench::read_size> buffer;

void accept_all(bag& in, const sel::socket& listener) {
    for (;;) {
        auto peer = listener.accept(sel::nonblocking);
        if (peer)
            in.add(connection{std::move(peer->socket)}, sel::event::read);
        else if (peer.error() == sel::errc::would_block)
            return;
        else if (peer.error() != sel::errc::reset)
            std::abort();
    }
}

/// Takes what was written from the front of it. False if the connection is broken.
bool write_now(const sel::socket& to, std::string_view& data) {
    const auto sent = to.send(data);
    data.remove_prefix(sent.value_or(0));
    return sent || sent.error() == sel::errc::would_block;
}

/// These two are false if the connection is over.
bool readable(bag& in, sel::key<connection> key) {
    connection& from = key.data;
    for (int i = 0; i < bench::reads_in_a_row; ++i) {
        const auto size = from.socket.recv(buffer);
        if (!size) return size.error() == sel::errc::would_block;
        if (*size == 0) return false;
        std::string_view left{buffer.data(), *size};
        if (!write_now(from.socket, left)) return false;
        if (!left.empty()) {
            from.pending = left;
            in.modify(key, sel::event::write);
            break;
        }
        if (*size < buffer.size()) break;
    }
    return true;
}

bool writable(bag& in, sel::key<connection> key) {
    connection& to = key.data;
    std::string_view left = to.pending;
    if (!write_now(to.socket, left)) return false;
    to.pending.erase(0, to.pending.size() - left.size());
    if (!left.empty()) return true;
    std::string{}.swap(to.pending);
    in.modify(key, sel::event::read);
    return true;
}

}  // namespace

int main() {
    bag in;
    in.add(connection{sel::socket{bench::listening_descriptor}}, sel::event::read);
    for (;;)
        for (auto [key, events] : in.select()) {
            if (key.descriptor() == bench::listening_descriptor)
                accept_all(in, key.data.socket);
            else if (!(key.data.pending.empty() ? readable(in, key) : writable(in, key)))
                in.remove(key);
        }
}
