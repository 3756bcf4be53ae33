// The loop as a user has it: a listener, and a watch with a callback for every connection, which owns itself. One buffer
// for all reading; a connection has one of its own only while its peer does not read.
#include <array>
#include <string>
#include <string_view>

#include <selectors/async.hpp>

#include "server.hpp"

namespace sel = selectors;

namespace {

std::array<char, bench::read_size> buffer;

class connection {
  public:
    connection(sel::loop& on, sel::socket socket) : socket_{std::move(socket)} {
        watch_ = on.watch(socket_, sel::event::read, [this](sel::event) {
            if (!(pending_.empty() ? readable() : writable())) delete this;
        });
    }

  private:
    /// These two are false if the connection is over.
    bool readable() {
        for (int i = 0; i < bench::reads_in_a_row; ++i) {
            const auto size = socket_.recv(buffer);
            if (!size) return size.error() == sel::errc::would_block;
            if (*size == 0) return false;
            std::string_view left{buffer.data(), *size};
            if (!write_now(left)) return false;
            if (!left.empty()) {
                pending_ = left;
                watch_.modify(sel::event::write);
                break;
            }
            if (*size < buffer.size()) break;
        }
        return true;
    }
    bool writable() {
        std::string_view left = pending_;
        if (!write_now(left)) return false;
        pending_.erase(0, pending_.size() - left.size());
        if (!left.empty()) return true;
        std::string{}.swap(pending_);
        watch_.modify(sel::event::read);
        return true;
    }
    /// Takes what was written from the front of it. False if the connection is broken.
    bool write_now(std::string_view& data) {
        const auto sent = socket_.send(data);
        data.remove_prefix(sent.value_or(0));
        return sent || sent.error() == sel::errc::would_block;
    }

    sel::socket socket_;
    sel::watch watch_;
    std::string pending_;  ///< what the peer has not taken yet
};

}  // namespace

int main() {
    sel::loop loop;
    sel::listener door{loop, sel::socket{bench::listening_descriptor},
                       [&](sel::accepted peer) { new connection{loop, std::move(peer.socket)}; }};
    loop.run();
}
