// loop/state.hpp - a loop's insides, for everything that lives on it.
//
// Held by the loop and by every handle, so that a handle may outlive its loop: then the state is `closed`,
// and holds nothing of the system's any more. One turn, in the order of `turn`, is all that ever happens.
#pragma once

#include <atomic>
#include <memory>

#include <selectors/loop.hpp>

#include "loop/driver.hpp"
#include "loop/mailbox.hpp"
#include "loop/wheel.hpp"

namespace selectors::detail {

/// Somebody who wants a descriptor, and waits for this thread to close one.
struct close_waiter {
    using teller = void (*)(close_waiter& self) noexcept;
    explicit close_waiter(teller to) noexcept : tell{to} {}
    teller tell;
    close_waiter* next_waiter = nullptr;
    close_waiter* previous_waiter = nullptr;
    unsigned closes = 0;  ///< that there were when it began to wait
    bool waiting = false;
};

/// Lives on a loop and is told before anything of that ends: whoever is rung for from elsewhere (bell.hpp)
/// must have seen to it by then that nobody rings any more.
struct tenant {
    using notice = void (*)(tenant& self) noexcept;
    explicit tenant(notice to) noexcept : evict{to} {}
    tenant* next_tenant = nullptr;
    tenant* previous_tenant = nullptr;
    notice evict;
    bool in = false;
};

/// Of each kind of callback as many as this at a time: what one flooder can add to the others' waiting.
constexpr int turn_budget = 128;
/// As many turns tell everything that one wait of a bag finds; what else completes must not keep it from looking.
constexpr int most_turns_without_look = 8;

class loop_state {
  public:
    /// Held once.
    explicit loop_state(std::unique_ptr<driver> carrier);

    void hold() noexcept { ++holders_; }
    void let_go() noexcept {
        if (--holders_ == 0) delete this;
    }

    /// Everything ends: tenants are told, then operations that they are cancelled, letters are thrown away.
    void close() noexcept;
    bool closed() const noexcept { return carrier_ == nullptr; }
    /// Only while it is not closed.
    driver& carrier() noexcept { return *carrier_; }
    /// Throws std::logic_error if it is: `what` cannot be made any more.
    void require_open(const char* what) const;

    // --- going round -------------------------------------------------------------------------------

    void run();
    std::size_t run_once(time_point deadline);
    /// These two from any thread and any signal handler.
    void stop() noexcept {
        stopping_.store(true, std::memory_order_release);
        ring();
    }
    void wake() noexcept {
        woken_.store(true, std::memory_order_relaxed);
        ring();
    }
    /// The turn's time; once the loop is closed the end of all times.
    time_point now() const noexcept { return now_; }
    time_point clock() const noexcept { return closed() ? now_ : carrier_->now(); }
    /// Whether nobody may be called any more in this turn.
    bool leaving() const noexcept { return stopping_.load(std::memory_order_relaxed); }

    // --- letters -----------------------------------------------------------------------------------

    /// Any thread.
    void post(letter& work) noexcept {
        if (mail_.push(work)) ring();
    }
    void defer(letter& work) noexcept { deferred_.push(work); }

    // --- timers ------------------------------------------------------------------------------------

    /// What has fired in this turn does not fire in it again: else a timer that arms itself for now would
    /// never let the others come. Once the loop is closed nothing is armed.
    void arm(timer& which, time_point deadline) noexcept {
        if (deadline <= now_) [[unlikely]] {
            if (closed()) return;
            deadline = now_ + nanoseconds{1};
        }
        timers_.arm(which, deadline);
    }
    void disarm(timer& which) noexcept { timers_.remove(which); }
    /// Keeps a timer's place while it moves in memory.
    void replace(timer& from, timer& to) noexcept;
    void forget(timer& gone) noexcept;

    // --- descriptors -------------------------------------------------------------------------------

    /// Tells it, once, before the loop sleeps again after this thread has closed a descriptor.
    void tell_of_close(close_waiter& who) noexcept;
    void forget(close_waiter& gone) noexcept;

    // --- tenants -----------------------------------------------------------------------------------

    void move_in(tenant& who) noexcept {
        tenants_.push(who);
        who.in = true;
    }
    /// Of one that has moved out already nothing is asked.
    void move_out(tenant& who) noexcept {
        if (std::exchange(who.in, false)) tenants_.remove(who);
    }

    // --- callbacks ---------------------------------------------------------------------------------

    /// Every callback is called through here. `due`: since when the loop knew of it; only an observer wants to know.
    template <class Call, class... Arguments>
    void call_due(const char* kind, const std::source_location& where, const time_point& due,
                  Call&& call, Arguments... what) {
        ++called_;
        if (observer) [[unlikely]]
            call_observed(kind, where, due, call, what...);
        else
            call(what...);
    }
    /// What the loop has known of since it last looked at the clock.
    template <class Call, class... Arguments>
    void call(const char* kind, const std::source_location& where, Call&& call, Arguments... what) {
        call_due(kind, where, now_, call, what...);
    }

    loop_stats stats;
    loop_observer* observer = nullptr;

  private:
    struct turn_guard;
    void ring() noexcept {
        if (!closed()) carrier_->wake();
    }
    ~loop_state() = default;

    void obeyed() noexcept;
    void turn(time_point deadline);
    void wait(time_point deadline);
    [[gnu::noinline]] void tell_of_closes() noexcept;
    [[gnu::noinline]] bool fire_timers();
    void fire(timer& due);
    [[gnu::noinline]] bool tell_completed();
    [[gnu::noinline]] bool read_letters(letter_queue& queue);
    template <class Call, class... Arguments>
    [[gnu::noinline]] void call_observed(const char* kind, const std::source_location& where,
                                         time_point due, Call& call, Arguments... what) {
        observed(kind, where, due, callback<void()>{[&] { call(what...); }});
    }
    void observed(const char* kind, const std::source_location& where, time_point due,
                  callback<void()> call);

    std::unique_ptr<driver> carrier_;
    wheel timers_;
    mailbox mail_;
    letter_queue posted_;
    letter_queue deferred_;
    chain<close_waiter, &close_waiter::next_waiter, &close_waiter::previous_waiter> close_waiters_;
    chain<tenant, &tenant::next_tenant, &tenant::previous_tenant> tenants_;
    timer* firing_ = nullptr;  ///< whose callback is running, wherever it is by now
    time_point now_;
    std::uint64_t called_ = 0;  ///< callbacks, in this turn
    std::size_t holders_ = 1;
    int turns_without_look_ = 0;
    bool turning_ = false;
    std::atomic<bool> woken_ = false;     ///< by `wake`, not for a letter
    std::atomic<bool> stopping_ = false;  ///< somebody asked for it, or the loop is closed
};

static_assert(alignof(loop_state) > timer_node::flags, "a timer keeps them in its loop's address");

/// Holds a state while it lives.
class state_holder {
  public:
    explicit state_holder(loop_state& held) noexcept : held_{held} { held_.hold(); }
    state_holder(const state_holder&) = delete;
    state_holder& operator=(const state_holder&) = delete;
    ~state_holder() { held_.let_go(); }

  private:
    loop_state& held_;
};

}  // namespace selectors::detail
