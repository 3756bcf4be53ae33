// loop/driver.hpp - the port under the second floor: whoever carries out operations, and has the time.
//
// Nothing above it knows whether readiness stands behind it (readiness.hpp), completions, or a simulation
// in which neither sockets nor time are real. DESIGN's four verbs are now, submit, cancel and wait. `close`
// is the fifth, because a descriptor may be known down there, or exist only there; `wake` is the sixth.
//
// The contract of operations, which everything above is built on:
//   - every one that was submitted completes exactly once: inline (`submit` returns true, and nothing more
//     comes), or through `completed` (a ready operation: any number of times, and once for its end);
//   - a cancel is a request: the true result wins. Bytes that had arrived are delivered, and so is a
//     connection that was accepted; else the error is errc::cancelled;
//   - a descriptor has one reader (recv, accept) and one writer (send, connect) at a time; a second is
//     errc::busy, inline. Ready operations there may be any number of.
//
// Threads: the loop's; `wake` alone may be called from any thread and any signal handler.
#pragma once

#include <chrono>

#include <selectors/detail/operation.hpp>

#include "loop/list.hpp"

namespace selectors::detail {

using time_point = std::chrono::steady_clock::time_point;
using std::chrono::nanoseconds;

/// Saturating; a negative delay is for ever.
constexpr time_point after(time_point now, nanoseconds delay) noexcept {
    if (delay < nanoseconds::zero() || delay >= time_point::max() - now) return time_point::max();
    return now + delay;
}

/// Operations that have completed and were not told yet, the oldest first.
class completion_queue {
  public:
    bool empty() const noexcept { return queue_.empty(); }

    void push(operation& op) noexcept {
        op.state = operation_state::completed;
        queue_.push(op);
    }

    /// The oldest; there must be one.
    operation& pop() noexcept {
        operation& op = queue_.pop();
        op.state = operation_state::idle;
        return op;
    }

  private:
    queue<operation> queue_;
};

class driver {
  public:
    driver() = default;
    driver(const driver&) = delete;
    driver& operator=(const driver&) = delete;
    virtual ~driver() = default;

    virtual time_point now() noexcept = 0;

    /// Begins an operation. True if it is done already: its result stands in it, and it is not told.
    virtual bool submit(operation& op) noexcept = 0;

    /// Asks that a waiting operation complete now. Of one that is not waiting nothing is asked.
    virtual void cancel(operation& op) noexcept = 0;

    /// Forgets a descriptor and closes it. Whatever still waits for it completes as cancelled.
    virtual void close(native_handle descriptor) noexcept = 0;

    /// Asks that of everything that waits: the loop goes.
    virtual void cancel_all() noexcept = 0;

    /// Waits until an operation completes, the time has come or somebody wakes. May return early.
    /// Throws std::system_error if the system refuses to wait.
    virtual void wait(time_point deadline) = 0;

    /// Makes the current or the next wait return.
    virtual void wake() noexcept = 0;

    /// Before it sleeps, a wait looks that long without sleeping.
    virtual void spin(nanoseconds duration) noexcept = 0;

    completion_queue completed;
};

}  // namespace selectors::detail
