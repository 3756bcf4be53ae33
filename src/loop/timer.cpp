#include <stdexcept>

#include <selectors/loop.hpp>

#include "loop/state.hpp"

namespace selectors {

timer::timer(loop& on, action fire, std::source_location where)
    : where_{where}, fire_{std::move(fire)} {
    owner = reinterpret_cast<std::uintptr_t>(&on.state());
    state()->hold();
}

timer::timer(timer&& other) noexcept
    : period_{other.period_}, where_{other.where_}, fire_{std::move(other.fire_)} {
    owner = other.owner & ~timer_node::armed;
    if (state()) state()->replace(other, *this);
    other.owner = 0;
}

/// The old callback goes last: what it captured may own the other timer, or be all that keeps this one.
timer& timer::operator=(timer&& other) noexcept {
    if (this == &other) return *this;
    timer successor{std::move(other)};
    const timer ended{std::move(*this)};
    this->~timer();
    return *::new (static_cast<void*>(this)) timer{std::move(successor)};
}

timer::~timer() {
    detail::loop_state* const on = state();
    if (!on) return;
    on->forget(*this);
    on->let_go();
}

void timer::at(clock::time_point when) {
    // Of many timers each is a cache miss, and the less is to be done after it the more of them the processor
    // fetches at once: so what is only pushed out does not even look at the loop.
    if (has(timer_node::armed)) {
        if (!detail::wheel::push_out(*this, when)) at_sooner(when);
        return;
    }
    auto* const on = std::bit_cast<detail::loop_state*>(owner);  // what is not armed has no flags
    if (!on) [[unlikely]]
        return throw_unarmable();
    on->arm(*this, when);
}

[[gnu::noinline]] void timer::at_sooner(clock::time_point when) {
    if (detail::loop_state* const on = state()) on->arm(*this, when);
}

void timer::throw_unarmable() {
    throw std::logic_error("a timer of no loop was armed: make it as timer{loop, callback}");
}

void timer::arm_after(std::chrono::nanoseconds delay) {
    at(state() ? detail::after(state()->clock(), delay) : clock::time_point::max());
}

void timer::arm_every(std::chrono::nanoseconds period) {
    if (period == std::chrono::nanoseconds::zero())
        throw std::invalid_argument("a timer's period must be longer than nothing");
    arm_after(period);
    // Beats that are for ever apart are one that never comes; and of a loop that is gone none does.
    if (period < std::chrono::nanoseconds::zero() || !armed()) return;
    period_ = period;
    owner |= beats;
}

void timer::cancel() noexcept {
    if (armed()) state()->disarm(*this);
}

}  // namespace selectors
