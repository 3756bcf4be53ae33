// loop/bell.hpp - what a signal handler, or a thread of the system's, rings for a loop to look.
//
// A letter that lies ready, for neither may allocate. Rung again before the loop has answered, it is not
// handed in again: whoever looks then sees it all. Needs no descriptor, as a pipe to itself would, and no
// system call unless the loop sleeps.
//
// Whoever has one in its node: the node is a tenant, sees to it that nobody rings once it has left, and
// stays as long as `rung` says that the letter is in the loop's mailbox, which throws it away at the end.
#pragma once

#include <atomic>

#include "loop/state.hpp"

namespace selectors::detail {

struct bell : letter {
    bell(loop_state& on, reader to) noexcept : letter{to}, home{on} {}
    bell(const bell&) = delete;
    bell& operator=(const bell&) = delete;

    /// Any thread, any signal handler, while the loop is not closed. Lock-free.
    void ring() noexcept {
        if (!rung_.exchange(true, std::memory_order_acq_rel)) home.post(*this);
    }
    /// The loop's thread, as everything below. The reader calls it before it looks at what it was rung
    /// for, so that whatever comes after the look rings again.
    void answer() noexcept {
        ++home.stats.posts;
        rung_.exchange(false, std::memory_order_acq_rel);
    }
    bool rung() const noexcept { return rung_.load(std::memory_order_relaxed); }

    loop_state& home;

  private:
    static_assert(std::atomic<bool>::is_always_lock_free);
    std::atomic<bool> rung_ = false;
};

}  // namespace selectors::detail
