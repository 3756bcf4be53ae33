// selectors/timer.hpp - a callback for a point in time, as long as the handle lives.
//
//     sel::timer once = loop.after(250ms, [&] { ... });
//     sel::timer beat = loop.every(1s, [&] { ... });
//     struct connection { sel::timer idle; ... };
//     connection.idle.after(30s);                       // armed anew: no allocation, O(1)
//     connection.idle.at(loop.now() + 30s);             // the same from the turn's time: no clock is read
//
// Never early: not by a nanosecond of the steady clock. Timers fire in the order of their deadlines; those
// with the same deadline in the order they were armed, but for those that were already armed for a time no
// later: they come anywhere among their equals. The loop keeps nothing of a timer but links through it, so
// that arming cannot fail. To arm anew for later costs least: no more than to write it down. A timer is 64
// bytes, one cache line, with a callback in it that captures one pointer; one that captures more is allocated
// when the timer is made.
//
// Lifetime: destroying or assigning to a timer disarms it, also from inside its own callback, whose captures
// live until it returns. A timer may outlive its loop, and is silent then. Threads: the loop's.
// Source: G. Varghese and T. Lauck, Hashed and Hierarchical Timing Wheels, 1987.
#pragma once

#include <bit>
#include <chrono>
#include <source_location>
#include <utility>

#include <selectors/callback.hpp>
#include <selectors/detail/core.hpp>
#include <selectors/detail/timer_node.hpp>
#include <selectors/export.hpp>

namespace selectors {

class loop;
namespace detail {
class loop_state;
}

class SELECTORS_API timer : detail::timer_node {
  public:
    using clock = std::chrono::steady_clock;
    using action = callback<void(), sizeof(void*)>;

    /// Of no loop: never fires, cannot be armed.
    timer() noexcept = default;
    /// Not armed yet.
    timer(loop& on, action fire, std::source_location where = std::source_location::current());
    timer(timer&& other) noexcept;
    timer& operator=(timer&& other) noexcept;
    ~timer();

    /// Fires once, then. A time that has passed is due with the next turn, or still in this one, but in no
    /// turn twice. Armed before, it is armed anew. Throws std::logic_error on a timer of no loop; if the
    /// loop is gone it does nothing.
    void at(clock::time_point when);
    /// Fires once, so long after now: the clock is read, for a turn may have lasted.
    template <class Rep, class Period>
    void after(std::chrono::duration<Rep, Period> delay) {
        arm_after(detail::wait_time(delay));
    }
    /// Fires again and again, first after one period. Beats that nobody had time for are left out, and
    /// the following ones stay in step. Throws std::invalid_argument if the period is not above zero.
    template <class Rep, class Period>
    void every(std::chrono::duration<Rep, Period> period) {
        arm_every(detail::wait_time(period));
    }
    /// Does not fire; may be armed again. Of one that is not armed nothing is asked.
    void cancel() noexcept;

    bool armed() const noexcept { return has(timer_node::armed); }
    /// When it fires; time_point::max() if it is not armed.
    clock::time_point due() const noexcept { return armed() ? deadline : clock::time_point::max(); }

  private:
    friend class detail::loop_state;
    [[noreturn, gnu::cold]] static void throw_unarmable();
    void at_sooner(clock::time_point when);
    void arm_after(std::chrono::nanoseconds delay);
    void arm_every(std::chrono::nanoseconds period);
    detail::loop_state* state() const noexcept {
        return std::bit_cast<detail::loop_state*>(owner & ~flags);
    }

    std::chrono::nanoseconds period_{};  ///< of one that beats
    std::source_location where_;
    action fire_;
};

}  // namespace selectors
