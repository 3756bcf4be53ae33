#include "world.hpp"

#include <cstdio>
#include <cstdlib>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace selectors::testing {
namespace {

void require(bool held, const char* what) {
    if (held) return;
    std::perror(what);
    std::abort();
}

}  // namespace

event watched::expected() const {
    if (!registered || !open) return event::none;
    event ready;
    if (unread > 0 || peer < 0) ready |= event::read;
    ready |= event::write;  // nobody here writes so much that a buffer fills
    if (peer < 0) ready |= event::hangup;
    const event seen = ready & (interest | event::hangup);
    return interest ? seen : event::none;
}

world::~world() {
    for (auto& [descriptor, end] : ends) {
        if (end.open) ::close(descriptor);
        if (end.peer >= 0) ::close(end.peer);
    }
    while (!kept_.empty()) drop_duplicate(kept_.size() - 1);
}

std::optional<int> world::open_pair() {
    int pair[2];
    require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0,
            "socketpair");
    for (int which : {0, 1}) {
        if (!ends.contains(pair[which])) continue;
        ::close(pair[0]);
        ::close(pair[1]);
        return std::nullopt;
    }
    watched& fresh = ends[pair[0]];
    fresh = watched{};
    fresh.peer = pair[1];
    return pair[0];
}

void world::write_from_peer(watched& end) {
    if (end.peer < 0 || !end.open || end.unread >= 100) return;
    require(::write(end.peer, "x", 1) == 1, "write");
    ++end.unread;
}

void world::read_all(int descriptor, watched& end) {
    if (!end.open || end.unread == 0) return;
    char room[2048];
    require(::read(descriptor, room, sizeof room) == end.unread, "read");
    end.unread = 0;
}

void world::close_peer(watched& end) {
    if (end.peer < 0) return;
    ::close(end.peer);
    end.peer = -1;
}

void world::close_end(int descriptor, watched& end, bool keep_duplicate) {
    if (!end.open) return;
    if (keep_duplicate && kept_.size() < 16) {
        // High numbers, so that the low ones are reused as a server reuses them.
        const int kept = ::fcntl(descriptor, F_DUPFD_CLOEXEC, 1000);
        require(kept >= 0, "fcntl");
        kept_.push_back({kept, end.peer});
        end.peer = -1;
    } else if (end.peer >= 0) {
        ::close(end.peer);
        end.peer = -1;
    }
    ::close(descriptor);
    end.open = false;
}

void world::drop_duplicate(std::size_t which) {
    ::close(kept_[which].descriptor);
    if (kept_[which].peer >= 0) ::close(kept_[which].peer);
    kept_.erase(kept_.begin() + static_cast<std::ptrdiff_t>(which));
}

void world::write_to_duplicate(std::size_t which) {
    if (kept_[which].peer >= 0) [[maybe_unused]]
        const auto written = ::write(kept_[which].peer, "x", 1);
}

}  // namespace selectors::testing
