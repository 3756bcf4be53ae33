#include "loop/state.hpp"

#include <stdexcept>
#include <string>

#include "system/system.hpp"

namespace selectors::detail {

loop_state::loop_state(std::unique_ptr<driver> carrier)
    : carrier_{std::move(carrier)}, timers_{carrier_->now()}, now_{carrier_->now()} {}

void loop_state::close() noexcept {
    const state_holder held{*this};
    while (tenant* const newest = tenants_.first()) {
        move_out(*newest);
        newest->evict(*newest);
    }
    auto carrier = std::move(carrier_);
    now_ = time_point::max();
    stopping_.store(true, std::memory_order_relaxed);
    observer = nullptr;  // need not live any longer
    carrier->cancel_all();
    while (!carrier->completed.empty()) {
        operation& op = carrier->completed.pop();
        op.complete(op);
    }
    // What is thrown away may, as it goes, hand in more.
    for (;;) {
        mail_.empty_into(posted_);
        letter_queue& queue = posted_.empty() ? deferred_ : posted_;
        if (queue.empty()) break;
        letter& thrown_away = queue.pop();
        thrown_away.read(thrown_away, nullptr);
    }
    while (timer_node* each = timers_.any()) timers_.remove(*each);
}

void loop_state::require_open(const char* what) const {
    if (closed()) throw std::logic_error(std::string{what} + " cannot be made while the loop goes");
}

// --- going round -----------------------------------------------------------------------------------

/// What holds from the first to the last of a `run`, also if an exception ends it.
struct loop_state::turn_guard {
    explicit turn_guard(loop_state& of) : state{of} {
        if (of.turning_)
            throw std::logic_error("the loop is running: a callback must not run it; let it return, "
                                   "and post or defer what is to come after it");
        of.hold();
        of.turning_ = true;
    }
    turn_guard(const turn_guard&) = delete;
    turn_guard& operator=(const turn_guard&) = delete;
    ~turn_guard() {
        state.turning_ = false;
        state.let_go();
    }
    loop_state& state;
};

void loop_state::run() {
    const turn_guard guard{*this};
    while (!leaving()) turn(time_point::max());
    obeyed();
}

/// More than one turn, where something that is nobody's callback ended the wait of the first.
std::size_t loop_state::run_once(time_point deadline) {
    const turn_guard guard{*this};
    called_ = 0;
    while (!leaving()) {
        turn(deadline);
        if (called_ > 0 || now_ >= deadline || woken_.load(std::memory_order_relaxed)) break;
    }
    obeyed();
    return called_;
}

/// What ends one run does not end the next; one that an exception ended was not ended by that.
void loop_state::obeyed() noexcept {
    if (leaving()) stopping_.store(closed(), std::memory_order_relaxed);
    woken_.store(false, std::memory_order_relaxed);
}

void loop_state::turn(time_point deadline) {
    called_ = 0;
    ++stats.turns;
    if (observer) observer->turn_begins(now_);
    // What the last turn had no time for comes first. Cancelled operations among it are no reason to stay
    // awake: nobody is called.
    if (carrier_->completed.empty() || tell_completed()) {
        wait(deadline);
        now_ = carrier_->now();
        if (!leaving() && (timers_.quiet(now_) || fire_timers()) && tell_completed() &&
            (posted_.empty() || read_letters(posted_)) && !deferred_.empty())
            read_letters(deferred_);
    }
    if (observer) observer->turn_ends(now_, called_);
}

/// Sleeps only if nothing was done and nothing is left to do. If it throws, the mailbox takes the loop for asleep
/// until the next: whoever posts meanwhile wakes it, needlessly.
void loop_state::wait(time_point deadline) {
    if (close_waiters_) [[unlikely]]
        tell_of_closes();
    // What was found ready before comes first: to be told of it once more costs as much as it did then. Not so what
    // was cancelled, of which nobody is told.
    if (called_ == 0 || carrier_->completed.empty() ||
        ++turns_without_look_ == most_turns_without_look) {
        turns_without_look_ = 0;
        ++stats.waits;
        const bool idle =
            called_ == 0 && posted_.empty() && deferred_.empty() && carrier_->completed.empty();
        if (idle) deadline = std::min(deadline, timers_.next());
        if (!idle || (deadline > now_ && !mail_.fall_asleep())) deadline = time_point::min();
        carrier_->wait(deadline);
    }
    mail_.empty_into(posted_);
}

/// Together with what completes meanwhile: there are few of those, for what watches find comes by waiting.
bool loop_state::tell_completed() {
    completion_queue& completed = carrier_->completed;
    for (int left = turn_budget; left > 0 && !completed.empty(); --left) {
        operation& op = completed.pop();
        ++stats.events;
        op.complete(op);
        if (leaving()) return false;
    }
    return true;
}

/// What comes meanwhile is for the next turn.
bool loop_state::read_letters(letter_queue& queue) {
    const letter* const newest = queue.newest();
    for (int left = turn_budget; left > 0 && !queue.empty(); --left) {
        letter& next = queue.pop();
        const bool last = &next == newest;
        next.read(next, this);
        if (leaving()) return false;
        if (last) break;
    }
    return true;
}

void loop_state::observed(const char* kind, const std::source_location& where, time_point due,
                          callback<void()> call) {
    const state_holder held{*this};
    const time_point begin = sys::now();
    callback_info info{kind, where, begin - due, nanoseconds::zero()};
    struct ending {
        ~ending() {
            info.took = sys::now() - begin;
            if (state.observer) state.observer->callback_ends(info);
        }
        loop_state& state;
        callback_info& info;
        time_point begin;
    } const ending{*this, info, begin};
    observer->callback_begins(info);
    call();
}

// --- descriptors -----------------------------------------------------------------------------------

void loop_state::tell_of_close(close_waiter& who) noexcept {
    who.closes = sys::closes;
    if (!std::exchange(who.waiting, true)) close_waiters_.push(who);
}

void loop_state::forget(close_waiter& gone) noexcept {
    if (std::exchange(gone.waiting, false)) close_waiters_.remove(gone);
}

void loop_state::tell_of_closes() noexcept {
    for (close_waiter *each = close_waiters_.first(), *next; each; each = next) {
        next = each->next_waiter;
        if (each->closes == sys::closes) continue;
        forget(*each);
        each->tell(*each);
    }
}

// --- timers ----------------------------------------------------------------------------------------

void loop_state::replace(timer& from, timer& to) noexcept {
    if (from.armed()) timers_.replace(from, to);
    if (firing_ == &from) firing_ = &to;
}

void loop_state::forget(timer& gone) noexcept {
    timers_.remove(gone);
    if (firing_ == &gone) firing_ = nullptr;
}

bool loop_state::fire_timers() {
    for (int left = turn_budget; left > 0; --left) {
        timer_node* const due = timers_.due(now_);
        if (!due) break;
        fire(static_cast<timer&>(*due));
        if (leaving()) return false;
    }
    return true;
}

/// The callback may destroy its timer, so it is called where the timer is not, and put back if it is there.
void loop_state::fire(timer& due) {
    struct borrowed {
        ~borrowed() {
            if (timer* const home = std::exchange(state.firing_, nullptr))
                home->fire_ = std::move(fire);
        }
        loop_state& state;
        timer::action fire;
    } borrowed{*this, std::move(due.fire_)};
    firing_ = &due;
    ++stats.timers;
    const time_point deadline = due.deadline;
    const std::source_location where = due.where_;
    if (due.has(timer_node::beats)) {
        const auto missed = (now_ - deadline) / due.period_;
        timers_.arm(due, after(deadline, due.period_ * (missed + 1)));
    }
    call_due("timer", where, deadline, borrowed.fire);
}

}  // namespace selectors::detail
