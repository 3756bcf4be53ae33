#include "world.hpp"

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "support/platform.hpp"

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
    if (unread > 0 || hung_up()) ready |= event::read;
    ready |= event::write;  // nobody here writes so much that a buffer fills
    if (hung_up() && pairs_hang_up) ready |= event::hangup;
    const event seen = ready & (interest | event::hangup);
    return interest ? seen : event::none;
}

world::~world() {
    for (auto& [descriptor, end] : ends) {
        if (end.open) raw_close(descriptor);
        if (!end.hung_up()) raw_close(end.peer);
    }
    while (!kept_.empty()) drop_duplicate(kept_.size() - 1);
}

std::optional<native_handle> world::open_pair() {
    const auto [a, b] = make_raw_pair();
    require(a != invalid_handle, "a pair of sockets");
    for (const native_handle each : {a, b}) {
        if (!ends.contains(each)) continue;
        raw_close(a);
        raw_close(b);
        return std::nullopt;
    }
    watched& fresh = ends[a];
    fresh = watched{};
    fresh.peer = b;
    return a;
}

void world::write_from_peer(native_handle descriptor, watched& end) {
    if (end.hung_up() || !end.open || end.unread >= 100) return;
    require(raw_write(end.peer, "x") == 1, "write");
    await_bytes(descriptor, ++end.unread);
    end.news |= event::read;
}

void world::read_all(native_handle descriptor, watched& end) {
    if (!end.open || end.unread == 0) return;
    char room[2048];
    require(raw_read(descriptor, room, sizeof room) == end.unread, "read");
    end.unread = 0;
    if (!end.hung_up()) end.news -= event::read;
    if (end.hung_up()) await_end(descriptor);
}

void world::close_peer(native_handle descriptor, watched& end) {
    if (end.hung_up()) return;
    raw_close(std::exchange(end.peer, invalid_handle));
    end.news = event::read | event::write | event::hangup;
    if (end.open && end.unread == 0) await_end(descriptor);
}

void world::close_end(native_handle descriptor, watched& end, bool keep_duplicate) {
    if (!end.open) return;
    const native_handle peer = std::exchange(end.peer, invalid_handle);
    if (keep_duplicate && kept_.size() < 16) {
        const native_handle kept = raw_duplicate(descriptor);
        require(kept != invalid_handle, "a duplicate");
        kept_.push_back({kept, peer});
    } else if (peer != invalid_handle) {
        raw_close(peer);
    }
    raw_close(descriptor);
    end.open = false;
}

void world::drop_duplicate(std::size_t which) {
    raw_close(kept_[which].descriptor);
    if (kept_[which].peer != invalid_handle) raw_close(kept_[which].peer);
    kept_.erase(kept_.begin() + static_cast<std::ptrdiff_t>(which));
}

void world::write_to_duplicate(std::size_t which) {
    if (kept_[which].peer != invalid_handle) (void)raw_write(kept_[which].peer, "x");
}

}  // namespace selectors::testing
