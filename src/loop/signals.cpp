#include <deque>
#include <memory>
#include <stdexcept>
#include <string>

#include <selectors/signals.hpp>

#include "loop/handle_callback.hpp"
#include "loop/subscription.hpp"
#include "system/process.hpp"

namespace selectors {
namespace detail {

/// Belongs to its handle, then to the loop until the last of its letters was read.
struct signals_node final : tenant {
    signals_node(loop_state& on, callback<void(int)>&& call, const std::source_location& from)
        : tenant{&leave}, home{on}, heard_{std::move(call), from} {
        home.hold();
        home.move_in(*this);
    }
    signals_node(const signals_node&) = delete;
    signals_node& operator=(const signals_node&) = delete;
    ~signals_node() { home.let_go(); }

    void subscribe(int number);
    void end() noexcept;
    void destroy_if_done() noexcept;

    loop_state& home;
    bool leaving = false;  ///< nobody rings any more

  private:
    struct each_number final : subscription {
        each_number(signals_node& for_whom, int which) noexcept
            : subscription{for_whom.home, &read_number, which}, of{for_whom} {}
        static void read_number(letter& self, loop_state* on) {
            auto& mine = static_cast<each_number&>(self);
            mine.answer();
            mine.of.tell(mine.number, on);
        }
        signals_node& of;
    };

    static void leave(tenant& self) noexcept { static_cast<signals_node&>(self).fall_silent(); }
    void tell(int number, loop_state* on);
    void fall_silent() noexcept;

    std::deque<each_number> numbers_;  // which stay where they are
    handle_callback<int> heard_;
};

void signals_node::subscribe(int number) {
    for (const each_number& known : numbers_)
        if (known.number == number) return;
    detail::subscribe(numbers_.emplace_back(*this, number));
}

void signals_node::tell(int number, loop_state* on) {
    if (!on || !heard_.owned()) return destroy_if_done();
    heard_.tell(*this, home, "signal", number);
}

void signals_node::end() noexcept {
    const auto dropped = heard_.give_up();
    fall_silent();
    home.move_out(*this);
    destroy_if_done();
}

void signals_node::fall_silent() noexcept {
    leaving = true;
    for (each_number& each : numbers_) unsubscribe(each);
}

/// Not while the loop has a letter of it, or a callback of it has yet to return.
void signals_node::destroy_if_done() noexcept {
    if (!heard_.over()) return;
    for (const each_number& each : numbers_)
        if (each.rung()) return;
    delete this;
}

}  // namespace detail

signals::signals(loop& on, std::span<const int> numbers, callback<void(int)> tell, location where) {
    for (const int number : numbers)
        if (const char* const why = sys::why_not_catchable(number))
            throw std::invalid_argument("signal " + std::to_string(number) + " " + why);
    on.state().require_open("signals");
    signals made;
    made.node_ = new detail::signals_node{on.state(), std::move(tell), where};
    for (const int number : numbers) made.node_->subscribe(number);
    std::swap(node_, made.node_);
}

signals::operator bool() const noexcept {
    return node_ && !node_->leaving;
}

void signals::end(detail::signals_node* node) noexcept {
    node->end();
}

}  // namespace selectors
