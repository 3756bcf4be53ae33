// selectors/watch.hpp - a callback for a descriptor's readiness, as long as the handle lives.
//
//     sel::watch watch = loop.watch(fd, event::read, [&](event events) { ... });
//     watch.modify(event::read | event::write);
//
// It owns nothing but itself: other people's libraries, which own their descriptors and say when to watch
// which, live on this and on timers. So it forgives what they do: any number of watches may be on one
// descriptor; one may be closed, and its number used anew, before its watch goes. That should be soon: until
// then poll and select may tell it of the new file, and io_uring keeps the old one open. A watch is of the file
// that had the number when the watch was made: for another make it anew, for `modify` cannot know.
//
// Level-triggered: a callback that leaves something unread is called again in the next turn. It may be
// called once in vain, when another callback of the same turn took what there was.
//
// Lifetime: destroying or assigning to a watch ends it at once, also from inside its own callback, whose
// captures live until it returns. A watch may outlive its loop, and is silent then. Threads: the loop's.
#pragma once

#include <utility>

#include <selectors/event.hpp>
#include <selectors/export.hpp>

namespace selectors {

class loop;
namespace detail {
struct watch_node;
}

class SELECTORS_API watch {
  public:
    /// Watches nothing.
    watch() noexcept = default;
    watch(watch&& other) noexcept : node_{std::exchange(other.node_, nullptr)} {}
    watch& operator=(watch&& other) noexcept {
        watch ended{std::move(other)};
        std::swap(node_, ended.node_);
        return *this;
    }
    ~watch() {
        if (node_) end(node_);
    }

    /// Changes what is asked for: of read, write and priority; none is silence, also of hang-ups. Asking
    /// for what is asked for already costs nothing. On a watch of nothing, or of a loop that is gone, it
    /// does nothing.
    /// Throws std::invalid_argument for an interest that cannot be asked for.
    void modify(event interest);
    /// What is asked for; none if it watches nothing.
    event interest() const noexcept;
    /// Whether it watches something: false for one that was moved from, or whose loop is gone.
    explicit operator bool() const noexcept;

  private:
    friend class loop;
    explicit watch(detail::watch_node* node) noexcept : node_{node} {}
    static void end(detail::watch_node* node) noexcept;

    detail::watch_node* node_ = nullptr;
};

}  // namespace selectors
