// loop/wheel.hpp - the timers of a loop, in a hierarchical timing wheel (Varghese and Lauck, 1987).
//
//     wheel timers{now};
//     timers.arm(node, deadline);                          // O(1), as are remove and replace
//     while (timer_node* node = timers.due(now)) ...       // in the order of their deadlines; un-armed
//     sleep_until(timers.next());
//
// Exact to the clock's unit: nothing comes early, and nothing is rounded. Equal deadlines come in the order
// in which they were armed; only one that was pushed out, see there, may come anywhere among its equals.
// Nothing allocates. The nodes are the caller's, and stay where they are while filed (or see replace).
//
// How it works. A time is a number of ten digits of seven bits, each digit a level. The wheel's own time,
// the cursor, is not later than any deadline. A node is filed at the highest digit in which its deadline
// differs from the cursor, in the slot of its deadline's digit there; one that does not differ, in the
// cursor's own slot of the lowest level. So
// - every deadline of a lower level, as it was filed, comes before every one of a higher level, and within a
//   level slot comes before slot: the first to come is found by counting zeros in two words;
// - a slot of the lowest level stands for one single deadline;
// - where a deadline belongs depends on it and on the cursor alone: equal ones are filed in one slot, and as
//   nodes are appended, and moved to another slot in their order, they stay in that order.
// The cursor never enters a slot that holds anything but by `enter`, which spreads it over the levels below:
// so each node moves at most nine times, and most of them twice or never, unless it is armed anew.
//
// What most timers are for does not come to pass: they are pushed out again and again, and to take one out of
// its slot touches three nodes, each a cache miss. So a deadline that is later than the one before is only
// noted: the node is stale, and its slot earlier than where it belongs. When that slot is the first it is
// filed where it belongs by now: once for many times that it was asked for. At 10^6 timers each time costs 17
// instead of 45 ns, and about 70 ns the once. A cancel, which is asked for but once, takes the node out: 28 ns,
// where marking it cost 12, and dropping it later 75.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <utility>

#include <selectors/detail/timer_node.hpp>

namespace selectors::detail {

/// 40 KB.
class wheel {
  public:
    using time_point = std::chrono::steady_clock::time_point;

    explicit wheel(time_point now) noexcept : cursor_{ticks(now)} {}
    wheel(const wheel&) = delete;
    wheel& operator=(const wheel&) = delete;

    /// Whether nothing is filed.
    bool empty() const noexcept { return occupied_words_ == 0; }

    /// Takes in a node, or gives it another deadline. REQUIRES: not before the time of the last `due`, nor
    /// before the clock's epoch.
    void arm(timer_node& node, time_point deadline) noexcept {
        if (node.has(timer_node::armed)) return arm_anew(node, deadline);
        file(node, deadline);
    }

    /// The same for a node that is armed and shall be due no sooner than before: true. Else it does nothing: false.
    static bool push_out(timer_node& node, time_point deadline) noexcept {
        if (!node.has(timer_node::armed) || deadline < node.deadline) return false;
        node.deadline = deadline;
        node.owner &= ~timer_node::beats;
        return true;
    }

    /// Forgets the node, armed or not.
    void remove(timer_node& node) noexcept {
        if (!node.has(timer_node::armed)) return;
        unlink(node);
        node.owner &= ~timer_node::flags;
    }

    /// Puts a node that is not armed in the place of one that is. Who owns it does not change.
    static void replace(timer_node& armed, timer_node& by) noexcept {
        by.deadline = armed.deadline;
        by.next = armed.next;
        by.previous = armed.previous;
        by.previous->next = by.next->previous = &by;
        by.owner |= timer_node::armed;
        armed.owner &= ~timer_node::armed;
    }

    /// Whether nothing is due yet, as far as is known without looking closer; `due` does. A cursor that follows the
    /// time keeps what is armed next on low levels.
    bool quiet(time_point now) noexcept {
        ticks_type latest = ticks(now);
        if (!empty()) {
            const unsigned slot = first_slot();
            const time_point earliest = heads_[slot].deadline;
            if (earliest <= now) return false;
            // Until the last tick before the slot, every node stays where it belongs.
            const unsigned lower = slot / digits * digit_bits;
            latest = std::min(latest, (ticks(earliest) >> lower << lower) - 1);
        }
        cursor_ = std::max(cursor_, latest);
        return true;
    }

    /// Takes out the node with the earliest deadline if that has come; null otherwise.
    timer_node* due(time_point now) noexcept {
        while (!quiet(now)) {
            const unsigned slot = first_slot();
            timer_node& head = heads_[slot];
            timer_node& first = *head.next;
            if (slot >= digits && first.next != &head) {
                enter(slot);
            } else if (first.deadline == head.deadline) {
                // Alone in its slot, it need not go down the levels to be known as the first.
                unlink(first);
                return &first;
            } else {
                review(slot);
            }
        }
        return nullptr;
    }

    /// Nothing is due before. It is the earliest deadline, unless one that was removed or pushed out had an earlier one;
    /// but after a `due(now)` that was null it is later than `now` in any case. time_point::max() if nothing is armed.
    /// Stale nodes would wake a loop for nothing, so it sees to the first few.
    time_point next() noexcept { return empty() ? time_point::max() : next_of_some(); }

    /// Some node that is armed; null if there is none.
    timer_node* any() noexcept { return empty() ? nullptr : heads_[first_slot()].next; }

  private:
    using ticks_type = std::uint64_t;
    static constexpr unsigned digit_bits = 7;
    static constexpr unsigned digits = 1U << digit_bits;
    static constexpr unsigned levels = (64 + digit_bits - 1) / digit_bits;
    static constexpr unsigned slots = levels * digits;

    static ticks_type ticks(time_point time) noexcept {
        return static_cast<ticks_type>(time.time_since_epoch().count());
    }
    /// Of a deadline, by the highest bit in which it differs from the cursor.
    struct level {
        std::uint8_t shift;  ///< of its digit
        std::uint16_t first_slot;
    };
    static constexpr auto level_of_bit = [] {
        std::array<level, 64> all{};
        for (unsigned bit = 0; bit < 64; ++bit)
            all[bit] = {static_cast<std::uint8_t>(bit / digit_bits * digit_bits),
                        static_cast<std::uint16_t>(bit / digit_bits * digits)};
        return all;
    }();

    /// The first slot to come; there must be one.
    unsigned first_slot() const noexcept {
        const auto word = static_cast<unsigned>(std::countr_zero(occupied_words_));
        return word * 64 + static_cast<unsigned>(std::countr_zero(occupied_[word]));
    }

    unsigned slot_of(time_point deadline) const noexcept {
        const ticks_type when = ticks(deadline);
        const level at =
            level_of_bit[static_cast<std::size_t>(std::countl_zero((when ^ cursor_) | 1)) ^ 63];
        return at.first_slot + static_cast<unsigned>(when >> at.shift) % digits;
    }

    void file(timer_node& node, time_point deadline) noexcept {
        node.deadline = deadline;
        node.owner |= timer_node::armed;
        place(node);
    }

    void place(timer_node& node) noexcept {
        const unsigned slot = slot_of(node.deadline);
        timer_node& head = heads_[slot];
        if (!head.previous) [[unlikely]]
            return occupy(slot, node);
        head.deadline = std::min(head.deadline, node.deadline);
        link(*head.previous, node, head);
    }

    // What is seldom needed is kept out of line, and comes last in its caller, so that arming needs no stack.

    /// Begins a slot with its first node.
    [[gnu::noinline]] void occupy(unsigned slot, timer_node& node) noexcept {
        heads_[slot] = {node.deadline, 0, &node, &node};
        node.next = node.previous = &heads_[slot];
        occupied_[slot / 64] |= std::uint64_t{1} << slot % 64;
        occupied_words_ |= std::uint64_t{1} << slot / 64;
    }

    /// For sooner it is taken out of its slot at once. To leave it where both deadlines belong in one slot was
    /// slower at 10^6 timers, for the processor cannot foretell which: 75 instead of 58 ns.
    [[gnu::noinline]] void arm_anew(timer_node& node, time_point deadline) noexcept {
        if (push_out(node, deadline)) return;
        remove(node);
        file(node, deadline);
    }

    void unlink(timer_node& node) noexcept {
        node.owner &= ~timer_node::armed;
        timer_node& next = *node.next;
        timer_node& previous = *node.previous;
        if (&next == &previous) [[unlikely]]
            return vacate(next);
        previous.next = &next;
        next.previous = &previous;
    }

    /// Notes that nothing is left of a slot.
    [[gnu::noinline]] void vacate(timer_node& head) noexcept {
        head.previous = nullptr;
        const auto slot = static_cast<unsigned>(&head - heads_);
        occupied_[slot / 64] &= ~(std::uint64_t{1} << slot % 64);
        if (occupied_[slot / 64] == 0) occupied_words_ &= ~(std::uint64_t{1} << slot / 64);
    }

    static void link(timer_node& before, timer_node& node, timer_node& after) noexcept {
        // In an order in which the compiler does not pack two pointers into one vector first.
        node.next = &after;
        after.previous = &node;
        node.previous = &before;
        before.next = &node;
    }

    [[gnu::noinline]] time_point next_of_some() noexcept {
        for (int left = 64; left > 0; --left) {
            const unsigned slot = first_slot();
            if (heads_[slot].next->deadline == heads_[slot].deadline || !review(slot)) break;
        }
        return heads_[first_slot()].deadline;
    }

    /// Files the first node of the slot anew if it belongs elsewhere, notes its deadline if it is alone. Whether that
    /// changed anything.
    [[gnu::noinline]] bool review(unsigned slot) noexcept {
        timer_node& head = heads_[slot];
        timer_node& first = *head.next;
        if (slot_of(first.deadline) != slot) {
            unlink(first);
            file(first, first.deadline);
            return true;
        }
        if (first.next != &head) return false;
        return std::exchange(head.deadline, first.deadline) != first.deadline;
    }

    /// Spreads the first slot over the levels below, which are empty; the cursor is then at the earliest time
    /// that the slot may hold. With many timers every node is a cache miss, and where the next one lies only
    /// the node knows: so it goes from both ends at once, two misses at a time, which halves what firing
    /// costs. In each slot below, the nodes from the front half come before those from the back half. What
    /// belongs in another slot by now is filed there.
    [[gnu::noinline]] void enter(unsigned entered) noexcept {
        timer_node* front = heads_[entered].next;
        timer_node* back = heads_[entered].previous;
        vacate(heads_[entered]);
        cursor_ = ticks(heads_[entered].deadline);
        const unsigned below = entered / digits * digits;
        timer_node* seams[slots];  // of slots below: the last node of the front half, or the head
        /// Returns where the seam is that the next one from the front goes behind.
        const auto spread = [&](timer_node& node) -> timer_node*& {
            // It is soon due, and its callback, whose end lies this far behind, may be another miss.
            __builtin_prefetch(reinterpret_cast<const std::byte*>(&node) + 56);
            const unsigned slot = slot_of(node.deadline);
            timer_node& onto = heads_[slot];
            if (!onto.previous) {
                occupy(slot, node);
                seams[slot] = &onto;
                return seams[slot];
            }
            if (node.deadline < onto.deadline) onto.deadline = node.deadline;
            timer_node& before = slot < below ? *seams[slot] : *onto.previous;
            link(before, node, *before.next);
            return seams[slot];
        };
        for (;;) {
            timer_node* const after = front->next;
            timer_node* const before = back->previous;
            spread(*front) = front;
            if (front == back) return;
            spread(*back);
            if (after == back) return;
            front = after;
            back = before;
        }
    }

    ticks_type cursor_;
    std::uint64_t occupied_words_ = 0;
    std::uint64_t occupied_[slots / 64] = {};
    /// A slot is a ring of nodes with its head among them; empty, its head has no previous. The head's deadline
    /// is one before which nothing in the slot is due: the earliest that came in since it was empty, or since
    /// the wheel looked at the one that was left.
    timer_node heads_[slots];
};

}  // namespace selectors::detail
