#include <memory>
#include <stdexcept>
#include <string>

#include <selectors/child.hpp>

#include "loop/handle_callback.hpp"
#include "loop/subscription.hpp"
#include "system/process.hpp"

namespace selectors {
namespace detail {

/// Belongs to its handle, then to the loop until that has let go of it: of the operation, which is that of
/// the process's descriptor, and of the letter, which somebody hands in who knows that a child has ended.
struct child_node final : tenant, ready_operation, subscription {
    child_node(loop_state& on, std::int64_t child_number, callback<void(exit_status)>&& call,
               const std::source_location& from)
        : tenant{&leave},
          ready_operation{invalid_handle, &ready},
          subscription{on, &read_letter, sys::child_signal},
          process_{child_number},
          ended_{std::move(call), from} {
        home.hold();
        home.move_in(*this);
    }
    child_node(const child_node&) = delete;
    child_node& operator=(const child_node&) = delete;
    ~child_node() { home.let_go(); }

    void begin();
    void end() noexcept;
    bool listening() const noexcept { return listening_; }
    void destroy_if_done() noexcept;

  private:
    static void leave(tenant& self) noexcept { static_cast<child_node&>(self).fall_silent(); }
    static void ready(operation& self);
    static void read_letter(letter& self, loop_state* on);
    void look();
    void fall_silent() noexcept;

    sys::process process_;
    handle_callback<exit_status> ended_;
    bool listening_ = false;
};

/// By the first way there is.
void child_node::begin() {
    listening_ = true;
    if (process_.descriptor() != invalid_handle) {
        descriptor = process_.descriptor();
        ask_for(event::read);
        if (home.carrier().submit(*this))
            throw std::system_error(error, "watch of process descriptor " + std::to_string(descriptor));
        return;
    }
    if (process_.call_at_end([](void* self) noexcept { static_cast<child_node*>(self)->ring(); }, this))
        return;
    subscribe(*this);
    ring();  // it may have ended before
}

void child_node::ready(operation& self) {
    auto& mine = static_cast<child_node&>(self);
    mine.events = event::none;
    if (mine.listening_) return mine.look();
    mine.destroy_if_done();
}

void child_node::read_letter(letter& self, loop_state* on) {
    auto& mine = static_cast<child_node&>(self);
    mine.answer();
    if (on && mine.listening_) return mine.look();
    mine.destroy_if_done();
}

/// Something says that it has ended; or that another has.
void child_node::look() {
    const auto found = process_.look();
    const std::optional<exit_status> how = found ? *found : exit_status::unknown();
    if (!how) return;
    fall_silent();
    ended_.tell(*this, home, "child", *how);
}

void child_node::end() noexcept {
    const auto dropped = ended_.give_up();
    fall_silent();
    destroy_if_done();
}

void child_node::fall_silent() noexcept {
    if (!std::exchange(listening_, false)) return;
    home.move_out(*this);
    unsubscribe(*this);
    if (process_.descriptor() != invalid_handle) home.carrier().close(process_.release_descriptor());
    process_.stop();
}

/// Not while the driver or the mailbox has it in its queue, or its callback has yet to return.
void child_node::destroy_if_done() noexcept {
    if (ended_.over() && !standing && state == operation_state::idle && !rung()) delete this;
}

}  // namespace detail

child::child(loop& on, std::int64_t process, callback<void(exit_status)> ended, location where) {
    if (process <= 0)
        throw std::invalid_argument(std::to_string(process) +
                                    " is no process's number: those are above zero");
    on.state().require_open("a child");
    child made;
    made.node_ = new detail::child_node{on.state(), process, std::move(ended), where};
    made.node_->begin();
    std::swap(node_, made.node_);
}

child::operator bool() const noexcept {
    return node_ && node_->listening();
}

void child::end(detail::child_node* node) noexcept {
    node->end();
}

}  // namespace selectors
