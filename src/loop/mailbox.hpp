// loop/mailbox.hpp - what other threads, and signal handlers, hand to a loop.
//
// A stack that only grows by one and is only taken whole, so that one compare-and-exchange is all there is
// and no node is ever looked at by two. That the loop sleeps is written where the newest would stand:
// whoever replaces that mark is the one who must wake it, and nobody else pays for it.
//
// Source: R. K. Treiber, Systems Programming: Coping with Parallelism, 1986.
#pragma once

#include <atomic>
#include <utility>

#include "loop/list.hpp"

namespace selectors::detail {

class loop_state;

/// Something to do, linked where it waits. Does what it is for and disposes of itself; or only the latter,
/// if the loop is gone (null).
struct letter {
    using reader = void (*)(letter& self, loop_state* on);
    explicit letter(reader to) noexcept : read{to} {}
    letter* next = nullptr;
    reader read;
};

/// Letters in the order they came; one thread's.
using letter_queue = queue<letter>;

class mailbox {
  public:
    /// Any thread, any signal handler. True if the loop sleeps and this caller must wake it. Of what was
    /// newest before only the address is used, so it does no harm if that one has been read meanwhile and
    /// the address has come back. What was written before an earlier push is seen as well: the exchanges
    /// of the later ones continue its release sequence ([intro.races]).
    bool push(letter& newest) noexcept {
        letter* before = newest_.load(std::memory_order_relaxed);
        do newest.next = before == &asleep_ ? nullptr : before;
        while (!newest_.compare_exchange_weak(before, &newest, std::memory_order_release,
                                              std::memory_order_relaxed));
        return before == &asleep_;
    }

    /// The loop's thread, as everything below. Whether it may sleep: not if there is something. Relaxed is
    /// enough, on weakly ordered machines too: an exchange that succeeds has read the latest value whatever
    /// its order ([atomics.order]), so a push came either before, and the mark is not set, or after it, and
    /// is told to wake. Nothing else is handed over here.
    bool fall_asleep() noexcept {
        letter* nothing = nullptr;
        return newest_.compare_exchange_strong(nothing, &asleep_, std::memory_order_relaxed);
    }

    /// Awake from here on. Appends what came, in the order it came. The first look may be outdated and
    /// miss what has just come, but neither the mark, which this thread set itself, nor what kept it from
    /// setting that: who does not see a letter here is kept awake by it in `fall_asleep`, and sees it next.
    void empty_into(letter_queue& queue) noexcept {
        if (!newest_.load(std::memory_order_relaxed)) return;
        letter* const newest = newest_.exchange(nullptr, std::memory_order_acquire);
        if (newest != &asleep_) append_to(queue, newest);
    }

  private:
    [[gnu::noinline]] static void append_to(letter_queue& queue, letter* newest) noexcept {
        letter* oldest = nullptr;
        letter* each = newest;
        do {
            letter* const earlier = std::exchange(each->next, oldest);
            oldest = std::exchange(each, earlier);
        } while (each);
        queue.append(*oldest, *newest);
    }

    letter asleep_{nullptr};  ///< a mark; never read
    std::atomic<letter*> newest_ = nullptr;
};

}  // namespace selectors::detail
