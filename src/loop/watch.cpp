#include <memory>
#include <stdexcept>
#include <string>

#include <selectors/watch.hpp>

#include "loop/handle_callback.hpp"

namespace selectors {
namespace detail {

/// Belongs to its handle, then to the loop until the driver has let go of it.
struct watch_node final : ready_operation {
    watch_node(loop_state& on, native_handle number, event wanted, callback<void(event)>&& call,
               const std::source_location& from) noexcept
        : ready_operation{number, &told}, state_of{on}, ready{std::move(call), from} {
        ask_for(wanted);
        on.hold();
    }
    watch_node(const watch_node&) = delete;
    watch_node& operator=(const watch_node&) = delete;

    ~watch_node() { state_of.let_go(); }

    static void told(operation& op);
    void end() noexcept;

    loop_state& state_of;
    handle_callback<event> ready;

    void destroy_if_done() noexcept;

  private:
    void told_of_end();
    void tell(event found) { ready.tell(*this, state_of, "watch", found); }
};

namespace {

void require_askable(event interest) {
    if (const event odd = interest - (event::read | event::write | event::priority))
        throw std::invalid_argument("the interest " + to_string(odd) +
                                    " cannot be asked for: name read, write and priority; error and "
                                    "hangup are always told");
}

}  // namespace

void watch_node::told(operation& op) {
    auto& node = static_cast<watch_node&>(op);
    if (const event found = std::exchange(node.events, event{})) [[likely]]
        node.tell(found);
    else if (!node.standing)
        node.told_of_end();
}

/// It was cancelled; or the descriptor is lost.
void watch_node::told_of_end() {
    if (!ready.owned()) return destroy_if_done();
    if (audible && !state_of.closed()) tell(event::error);
}

void watch_node::end() noexcept {
    const auto dropped = ready.give_up();
    if (standing)
        state_of.carrier().cancel(*this);  // and is told of it
    else
        destroy_if_done();
}

/// Not while the driver has it in its queue, or its callback has yet to return.
void watch_node::destroy_if_done() noexcept {
    if (ready.over() && !standing && state == operation_state::idle) delete this;
}

}  // namespace detail

void watch::end(detail::watch_node* node) noexcept {
    node->end();
}

void watch::modify(event interest) {
    detail::require_askable(interest);
    if (!node_ || node_->interest() == interest) return;
    node_->ask_for(interest);  // one that is lost and has yet to hear of it may be silenced as well
    node_->events &= node_->audible;
    if (*this && node_->state_of.carrier().submit(*node_))
        throw std::system_error(node_->error, "watch");
}

event watch::interest() const noexcept {
    return *this ? node_->interest() : event::none;
}

watch::operator bool() const noexcept {
    return node_ && node_->standing;
}

watch loop::watch(socket_view what, event interest, callback<void(event)> ready, location where) {
    detail::require_askable(interest);
    if (!can_be_open(what.descriptor()))
        throw std::invalid_argument("the descriptor of a watch is none: was the socket moved from "
                                    "before its view was taken, or never opened?");
    state_->require_open("a watch");
    auto node = std::make_unique<detail::watch_node>(*state_, what.descriptor(), interest,
                                                     std::move(ready), where);
    if (state_->carrier().submit(*node))
        throw std::system_error(node->error,
                                "watch of descriptor " + std::to_string(what.descriptor()));
    return selectors::watch{node.release()};
}

}  // namespace selectors
