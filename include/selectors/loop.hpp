// selectors/loop.hpp - the bag goes round: callbacks for readiness, time and what other threads post.
//
//     sel::loop loop;
//     sel::watch watch = loop.watch(fd, event::read, [&](event events) { ... });
//     sel::timer timer = loop.after(250ms, [&] { ... });
//     loop.post([&] { ... });                                    // from any thread
//     loop.run();                                                // until stop()
//
// One turn: wait until something is due; fire timers; tell readiness; run what was posted, then what was
// deferred. Of each kind at most a few hundred a turn, so that none keeps the others waiting: what is left
// comes first in the next, which does not sleep.
//
// Exceptions: what a callback throws comes out of `run`. It was that callback's turn; nothing else is lost,
// and `run` may be called again. Callbacks may add and destroy whatever they like, themselves and the loop
// included; they must not run the loop (std::logic_error).
//
// Lifetime: a loop that goes closes what it asked of the system; callbacks that were posted and not run are
// destroyed. Handles may outlive it and are silent. Threads: one loop, one thread; `post`, `stop` and `wake`
// may be called from any thread, `stop` and `wake` from signal handlers, too, if they return before the loop
// goes.
#pragma once

#include <chrono>
#include <cstddef>
#include <source_location>
#include <string_view>

#include <selectors/backend.hpp>
#include <selectors/callback.hpp>
#include <selectors/export.hpp>
#include <selectors/observer.hpp>
#include <selectors/socket.hpp>
#include <selectors/timer.hpp>
#include <selectors/watch.hpp>

namespace selectors {

class SELECTORS_API loop {
  public:
    using clock = std::chrono::steady_clock;
    using location = std::source_location;

    /// On what SELECTORS_BACKEND names, or the best mechanism of this machine; throws as a bag does.
    loop() : loop{open_backend()} {}
    /// On the named mechanism.
    explicit loop(std::string_view backend_name) : loop{open_backend(backend_name)} {}
    /// On one of your own, which must not be empty.
    explicit loop(backend_handle own);
    loop(const loop&) = delete;
    loop& operator=(const loop&) = delete;
    ~loop();

    // --- going round -------------------------------------------------------------------------------

    /// Turns until `stop`. A loop with nothing to do waits for a post. Throws what a callback throws;
    /// std::system_error if the system refuses to wait; std::logic_error inside a callback.
    void run();
    /// One turn, which waits until something is due, or `wake` or `stop` is called. Returns how many
    /// callbacks ran. Throws as `run` does.
    std::size_t run_once() { return turn_until(clock::time_point::max()); }
    /// The same, and waits for at most that long; zero and less do not wait.
    template <class Rep, class Period>
    std::size_t run_once(std::chrono::duration<Rep, Period> timeout) {
        return turn_for(detail::wait_time(timeout));
    }

    /// Makes the current `run`, or else the next one, return as soon as the callback under way has
    /// ended. What else is due stays for the run after that.
    void stop() noexcept;
    /// Makes the current turn, or the next one, end without waiting for anything.
    void wake() noexcept;

    // --- callbacks ---------------------------------------------------------------------------------

    /// Runs it on the loop's thread, exactly once: in the order posted, as far as that is known. Wakes
    /// the loop only if it sleeps. A callback that has not run when the loop goes is destroyed then. Throws
    /// std::bad_alloc, and nothing is posted.
    void post(callback<void()> work, location where = location::current());
    /// The same, without the care for other threads: runs it in the next turn, in the order deferred.
    void defer(callback<void()> work, location where = location::current());

    /// Calls back, in turns, while `what` is ready for what is asked (and if it hangs up or fails, unless
    /// nothing is asked). Throws std::system_error for a closed descriptor and whatever else the kernel
    /// refuses, std::invalid_argument as `selector::add` does.
    [[nodiscard]] selectors::watch watch(socket_view what, event interest, callback<void(event)> ready,
                                         location where = location::current());

    /// A timer that is armed already: see timer::after, timer::at, timer::every.
    template <class Rep, class Period>
    [[nodiscard]] timer after(std::chrono::duration<Rep, Period> delay, timer::action fire,
                              location where = location::current()) {
        timer made{*this, std::move(fire), where};
        made.after(delay);
        return made;
    }
    [[nodiscard]] timer at(clock::time_point deadline, timer::action fire,
                           location where = location::current()) {
        timer made{*this, std::move(fire), where};
        made.at(deadline);
        return made;
    }
    template <class Rep, class Period>
    [[nodiscard]] timer every(std::chrono::duration<Rep, Period> period, timer::action fire,
                              location where = location::current()) {
        timer made{*this, std::move(fire), where};
        made.every(period);
        return made;
    }

    // --- looking at it -----------------------------------------------------------------------------

    /// When this turn began (its wait had ended); outside a turn, the last one's. Reads no clock.
    clock::time_point now() const noexcept;
    /// For callers who pay a core for latency: before it sleeps, the loop looks that long without sleeping.
    /// Off (zero) unless called.
    void spin(std::chrono::nanoseconds duration) noexcept;
    /// What is told of every turn and callback from now on; null for nobody. Must live as long.
    void observe(loop_observer* observer) noexcept;
    loop_stats stats() const noexcept;

    /// For the library.
    detail::loop_state& state() noexcept { return *state_; }

  private:
    std::size_t turn_until(clock::time_point deadline);
    std::size_t turn_for(std::chrono::nanoseconds timeout);

    detail::loop_state* state_;
};

}  // namespace selectors
