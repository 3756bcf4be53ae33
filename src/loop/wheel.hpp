// loop/wheel.hpp - the armed timers of a loop, in a hierarchical timing wheel (Varghese and Lauck, 1987).
//
//     wheel timers{now};
//     timers.arm(node, deadline);                          // O(1), as are cancel and replace
//     while (timer_node* node = timers.due(now)) ...       // in the order of their deadlines; un-armed
//     sleep_until(timers.next());
//
// Exact to the clock's unit: nothing comes early, and nothing is rounded. Equal deadlines come in the order
// in which they were armed. One that has passed when it is armed is taken for the time of the last `due`, so
// that those come in their order, too. Nothing allocates. The nodes are the caller's, and stay where they
// are while armed (or see replace).
//
// How it works. A time is a number of ten digits of seven bits, each digit a level. The wheel's own time,
// the cursor, is not later than any deadline. A node lies at the highest digit in which its deadline differs
// from the cursor, in the slot of its deadline's digit there; one that does not differ, in the cursor's own
// slot of the lowest level. So
// - every deadline of a lower level comes before every one of a higher level, and within a level slot comes
//   before slot: the first to come is found by counting zeros in two words;
// - a slot of the lowest level holds one single deadline;
// - where a deadline lies depends on it and on the cursor alone: equal ones are always in one slot, and as
//   nodes are appended, and moved to another slot in their order, they stay in that order.
// The cursor never enters a slot that holds anything but by `enter`, which spreads it over the levels below:
// so each node moves at most nine times in its life, and most of them twice or never.
#pragma once

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include <selectors/detail/timer_node.hpp>

namespace selectors::detail {

/// 31 KB, most of them never touched.
class wheel {
  public:
    using time_point = std::chrono::steady_clock::time_point;

    explicit wheel(time_point now) noexcept : now_{now}, cursor_{ticks(now)} {}
    wheel(const wheel&) = delete;
    wheel& operator=(const wheel&) = delete;

    static bool armed(const timer_node& node) noexcept { return node.next != nullptr; }
    bool empty() const noexcept { return occupied_words_ == 0; }

    /// Takes in a node that is not armed.
    void arm(timer_node& node, time_point deadline) noexcept {
        deadline = std::max(deadline, time_point{now_});
        node.deadline = deadline;
        const unsigned slot = slot_of(deadline);
        timer_node& head = heads_[slot];
        if (!head.previous) [[unlikely]]
            return occupy(slot, node);
        if (deadline < head.deadline) head.deadline = deadline;
        link(*head.previous, node, head);
    }

    /// Takes in a node, or gives one that is armed another deadline.
    void rearm(timer_node& node, time_point deadline) noexcept {
        if (armed(node)) {
            if (node.next == node.previous) [[unlikely]]
                return rearm_alone(node, deadline);
            unlink(node);
        }
        arm(node, deadline);
    }

    /// Takes out one that is armed.
    void cancel(timer_node& node) noexcept {
        timer_node& other = *node.next;
        const bool alone = node.next == node.previous;
        unlink(node);
        node.next = nullptr;
        if (alone) [[unlikely]]
            vacate(other);
    }

    /// Puts a node that is not armed in the place of one that is.
    static void replace(timer_node& armed, timer_node& by) noexcept {
        by = armed;
        by.previous->next = by.next->previous = &by;
        armed.next = nullptr;
    }

    /// Takes out the node with the earliest deadline if that has come; null otherwise.
    timer_node* due(time_point now) noexcept {
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
                cancel(first);
                return &first;
            }
        }
        cursor_ = std::max(cursor_, ticks(now));
        return nullptr;
    }

    /// Nothing is due before. It is the earliest deadline, unless what was cancelled had an earlier one; but
    /// after a `due(now)` that was null it is later than `now` in any case. time_point::max() if nothing is
    /// armed.
    time_point next() const noexcept {
        return empty() ? time_point::max() : heads_[first_slot()].deadline;
    }

    /// Some node; null if none is armed.
    timer_node* any() noexcept { return empty() ? nullptr : heads_[first_slot()].next; }

  private:
    using ticks_type = std::uint64_t;
    static constexpr unsigned digit_bits = 7;
    static constexpr unsigned digits = 1U << digit_bits;
    static constexpr unsigned levels = (64 + digit_bits - 1) / digit_bits;
    static constexpr unsigned slots = levels * digits;

    /// In the order of the times, negative ones first.
    static ticks_type ticks(time_point time) noexcept {
        return static_cast<ticks_type>(time.time_since_epoch().count()) ^ std::uint64_t{1} << 63;
    }
    static unsigned level_of(ticks_type difference) noexcept {
        const auto bit = static_cast<unsigned>(63 - std::countl_zero(difference | 1));
        return bit * 37 / 256;  // bit / digit_bits
    }

    /// The first slot to come; there must be one.
    unsigned first_slot() const noexcept {
        const auto word = static_cast<unsigned>(std::countr_zero(occupied_words_));
        return word * 64 + static_cast<unsigned>(std::countr_zero(occupied_[word]));
    }

    unsigned slot_of(time_point deadline) const noexcept {
        const ticks_type when = ticks(deadline);
        const unsigned level = level_of(when ^ cursor_);
        return level * digits + static_cast<unsigned>(when >> (level * digit_bits)) % digits;
    }

    // What is seldom needed is kept out of line, and comes last in its caller, so that arming needs no stack.

    /// Begins a slot with its first node.
    [[gnu::noinline]] void occupy(unsigned slot, timer_node& node) noexcept {
        heads_[slot] = {&node, &node, node.deadline};
        node.next = node.previous = &heads_[slot];
        occupied_[slot / 64] |= std::uint64_t{1} << slot % 64;
        occupied_words_ |= std::uint64_t{1} << slot / 64;
    }

    [[gnu::noinline]] void rearm_alone(timer_node& node, time_point deadline) noexcept {
        vacate(*node.next);
        arm(node, deadline);
    }

    /// Notes that nothing is left of a slot.
    [[gnu::noinline]] void vacate(timer_node& head) noexcept {
        head.previous = nullptr;
        const auto slot = static_cast<unsigned>(&head - heads_);
        occupied_[slot / 64] &= ~(std::uint64_t{1} << slot % 64);
        if (occupied_[slot / 64] == 0) occupied_words_ &= ~(std::uint64_t{1} << slot / 64);
    }

    static void unlink(timer_node& node) noexcept {
        node.previous->next = node.next;
        node.next->previous = node.previous;
    }
    static void link(timer_node& before, timer_node& node, timer_node& after) noexcept {
        node.previous = &before;
        node.next = &after;
        before.next = after.previous = &node;
    }

    /// Spreads the first slot over the levels below, which are empty; the cursor is then at the earliest time
    /// that the slot may hold. With many timers every node is a cache miss, and where the next one lies only
    /// the node knows: so it goes from both ends at once, two misses at a time, which halves what firing
    /// costs. In each slot the nodes from the front half come before those from the back half.
    [[gnu::noinline]] void enter(timer_node& head) noexcept {
        timer_node* front = head.next;
        timer_node* back = head.previous;
        vacate(head);
        cursor_ = ticks(head.deadline);
        timer_node* seams[slots];  // of occupied slots: the last node of the front half, or the head
        const auto spread = [&](timer_node& node) {
            // It is soon due, and its callback, whose end lies this far behind, is another miss.
            __builtin_prefetch(reinterpret_cast<const std::byte*>(&node) + 80);
            const unsigned slot = slot_of(node.deadline);
            timer_node& onto = heads_[slot];
            if (!onto.previous) {
                occupy(slot, node);
                seams[slot] = &onto;
                return slot;
            }
            if (node.deadline < onto.deadline) onto.deadline = node.deadline;
            link(*seams[slot], node, *seams[slot]->next);
            return slot;
        };
        for (;;) {
            timer_node* const after = front->next;
            timer_node* const before = back->previous;
            seams[spread(*front)] = front;
            if (front == back) return;
            spread(*back);
            if (after == back) return;
            front = after;
            back = before;
        }
    }

    time_point now_;  ///< the latest that we were told
    ticks_type cursor_;
    std::uint64_t occupied_words_ = 0;
    std::uint64_t occupied_[slots / 64] = {};
    /// A slot is a ring of nodes with its head among them; empty, its head has no previous. The head's deadline
    /// is one before which nothing in the slot is due: the earliest that came in since it was empty.
    timer_node heads_[slots];
};

}  // namespace selectors::detail
