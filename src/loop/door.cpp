#include <algorithm>

#include "loop/listener_node.hpp"
#include "system/system.hpp"

namespace selectors::detail {

door::door(listener_node& of, native_handle listening, const address& here) noexcept
    : accept_operation{listening, &told}, of_{of}, where_{here} {
    of_.hold();
}

door::~door() {
    drop();
    of_.let_go();
}

void door::go_on() noexcept {
    if (calling_ || !open() || !of_.accepting()) return;
    if (state == operation_state::idle && !later_.queued) {
        in_hand_ = in_hand_ || of_.state_of.carrier().submit(*this);
        if (in_hand_) {
            later_.queued = true;
            later_.turn = of_.state_of.stats.turns;
            of_.state_of.defer(later_);
        }
    }
    // All who had connected are in.
    if (state == operation_state::waiting && of_.finishing()) close();
}

void door::stop() noexcept {
    if (!of_.state_of.closed()) of_.state_of.carrier().cancel(*this);
}

void door::close() noexcept {
    if (!open()) return;
    const native_handle number = std::exchange(descriptor, invalid_handle);
    if (of_.state_of.closed())
        sys::close(number);
    else
        of_.state_of.carrier().close(number);
    drop();
    of_.gone(*this);
    destroy_if_done();
}

bool door::shed() noexcept {
    if (!of_.state_of.carrier().submit(*this) || error) return false;
    drop();
    return true;
}

void door::note::read_note(letter& self, loop_state* on) {
    auto& read = static_cast<note&>(self);
    if (on && read.turn == on->stats.turns) return on->defer(self);
    read.queued = false;
    read.of.tell();
}

void door::told(operation& op) {
    auto& self = static_cast<door&>(op);
    self.in_hand_ = true;
    self.tell();
}

/// What is left when the budget is used, or a callback throws, is for the next turn.
void door::tell() {
    struct ending {
        ~ending() {
            at.calling_ = false;
            if (at.open())
                at.go_on();
            else
                at.destroy_if_done();
        }
        door& at;
    } const ending{*this};
    calling_ = true;
    for (unsigned left = std::max(of_.budget(), 1U); left > 0 && in_hand_; --left) {
        if (!open() || !of_.accepting()) return;
        in_hand_ = false;
        of_.take(*this);
        if (!open() || !of_.accepting() || of_.state_of.leaving()) return;
        in_hand_ = of_.state_of.carrier().submit(*this);
    }
}

void door::drop() noexcept {
    const socket dropped{std::exchange(accepted, invalid_handle)};
}

/// Not while the driver or the loop's queue has it, or a callback of it has yet to return.
void door::destroy_if_done() noexcept {
    if (!open() && !calling_ && !later_.queued && state == operation_state::idle) delete this;
}

}  // namespace selectors::detail
