#include "loop/wheel.hpp"

namespace selectors::detail {

timer_node* wheel::due(time_point now) noexcept {
    now_ = std::max(now_, now);
    while (!empty()) {
        const unsigned slot = first_slot();
        timer_node& head = heads_[slot];
        if (head.deadline > now) {
            // A cursor that follows the time keeps what is armed next on low levels. Until the last tick
            // before the slot, every node stays where it belongs.
            const unsigned lower = slot / digits * digit_bits;
            const ticks_type start = ticks(head.deadline) >> lower << lower;
            cursor_ = std::max(cursor_, std::min(ticks(now), start - 1));
            return nullptr;
        }
        timer_node& first = *head.next;
        if (slot >= digits && first.next != &head) {
            enter(head);
        } else if (first.deadline > now) {
            head.deadline = first.deadline;  // an earlier one was cancelled
        } else {
            // Alone in its slot, it need not go down the levels to be known as the first.
            cursor_ = ticks(first.deadline);
            cancel(first);
            return &first;
        }
    }
    cursor_ = std::max(cursor_, ticks(now));
    return nullptr;
}

/// Spreads the first slot over the levels below, which are empty; the cursor is then at the earliest time
/// that it may hold.
void wheel::enter(timer_node& head) noexcept {
    cursor_ = ticks(head.deadline);
    vacate(head);
    for (timer_node* node = head.next; node != &head;) {
        timer_node& moving = *node;
        node = node->next;
        place(moving);
    }
}

}  // namespace selectors::detail
