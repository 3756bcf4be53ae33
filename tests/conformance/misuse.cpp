// What nobody should do, and somebody will: descriptors closed, reused and lent out in every order.
#include <thread>
#include <vector>

#include "conformance.hpp"

namespace selectors::testing {
namespace {

template <class Bag>
bool wakes(Bag& bag) {
    bag.wake();
    return time_of([&] { (void)bag.select(2s); }) < 2s;
}

}  // namespace

CASE(move_assignment_destroys_the_old_data_once) {
    static int alive;
    alive = 0;
    struct counted {
        counted() { ++alive; }
        counted(counted&&) noexcept { ++alive; }
        ~counted() { --alive; }
    };
    auto [a, b] = make_pair();
    {
        auto bag = make_bag<counted>();
        bag.add(a, event::read);
        bag = make_bag<counted>();
        EXPECT_EQ(alive, 0);
        bag.add(a, event::read);
        auto& self = bag;
        bag = std::move(self);
        EXPECT_EQ(alive, 1);
        EXPECT_TRUE(bag.contains(a));
    }
    EXPECT_EQ(alive, 0);
}

CASE(data_that_is_a_number_is_no_descriptor) {
    auto numbers = make_bag<int>();
    auto [a, b] = make_pair();
    EXPECT_THROW(numbers.add(-1, event::read, static_cast<int>(a.descriptor())), std::invalid_argument);
    EXPECT_FALSE(numbers.contains(a));
    EXPECT_EQ(numbers.add(a.descriptor(), event::read).data, 0);
    auto flags = make_bag<bool>();
    EXPECT_THROW(flags.add(socket{}, event::read, true), std::invalid_argument);
}

CASE(a_key_of_another_bag_is_not_registered) {
    auto one = make_bag<int>();
    auto two = make_bag<int>();
    auto [a, b] = make_pair();
    const socket high = duplicate_of(b.descriptor(), 500);
    const auto key = one.add(high, event::read, 1);
    EXPECT_THROW(two.remove(key), not_registered);
    two.add(a, event::read, 2);
    EXPECT_THROW(two.modify(key, event::none), not_registered);
    EXPECT_FALSE(two.contains(key));
}

CASE(a_key_can_be_assigned) {
    auto bag = make_bag<int>();
    auto [a, b] = make_pair();
    std::vector keys{bag.add(a, event::read, 1), bag.add(b, event::read, 2)};
    keys.erase(keys.begin());
    EXPECT_EQ(keys[0].data, 2);
    EXPECT_EQ(keys[0].descriptor(), b.descriptor());
}

CASE(a_file_closed_in_the_bag_is_silent) {
    NEEDS(files);
    auto bag = make_bag<int>();
    socket closed = make_file();
    const socket open = make_file();
    const native_handle number = closed.descriptor();
    bag.add(closed, event::read, 1);
    bag.add(open, event::read, 2);
    closed.close();
    EXPECT_EQ(reported(bag.select()), (events_by_descriptor{{open.descriptor(), event::read}}));
    bag.remove(open);
    expect_silence(bag, 10ms);
    bag.modify(number, event::write);
    EXPECT_EQ(reported(bag.select(0s)), (events_by_descriptor{{number, event::error | event::write}}));
    expect_silence(bag, 10ms);
    EXPECT_EQ(bag.remove(number), 1);
}

CASE(some_of_many_files_closed_in_the_bag_leave_the_others_their_turn) {
    NEEDS(files);
    auto bag = make_bag();
    std::vector<socket> many;
    for (int i = 0; i < 50; ++i) {
        many.push_back(make_file());
        bag.add(many.back(), event::read);
    }
    events_by_descriptor open;
    for (std::size_t i = 0; i < many.size(); ++i)
        if (i % 3 == 0)
            many[i].close();
        else
            open.emplace(many[i].descriptor(), event::read);
    EXPECT_EQ(reported(bag.select()), open);
    EXPECT_EQ(reported(bag.select()), open);
}

CASE(the_mere_name_of_a_file_is_ebadf) {
    NEEDS(files);
    const socket name = open_name();
    auto bag = make_bag();
    try {
        bag.add(name.descriptor(), event::read);
        ADD_FAILURE() << "was taken";
    } catch (const std::system_error& refused) {
        EXPECT_EQ(refused.code(), errc::bad_descriptor);
    }
    expect_silence(bag, 5ms);
}

CASE(the_bags_own_descriptors_cannot_be_added) {
    const native_handle first = closed_descriptor();
    auto bag = make_bag();
    for (native_handle own_one = first; is_open(own_one); own_one = next_number(own_one))
        EXPECT_THROW(bag.add(own_one, event::read), std::system_error) << own_one;
    EXPECT_TRUE(wakes(bag));
    EXPECT_GE(time_of([&] { (void)bag.select(5ms); }), 5ms);
}

CASE(a_number_closed_in_the_bag_may_become_the_backends_own) {
    auto bag = make_bag<int>();
    std::vector<two_ends> pairs;
    for (int i = 0; i < 100; ++i) pairs.push_back(make_pair());
    std::vector<native_handle> closed;
    for (std::size_t i = 0; i < 10; ++i) {
        closed.push_back(pairs[i].a.descriptor());
        bag.add(closed.back(), event::read, -1);
    }
    EXPECT_TRUE(reported(bag.select(0s)).empty());
    for (std::size_t i = 0; i < 10; ++i) pairs[i].a.close();
    // Whatever it opens to watch so many takes those numbers.
    for (std::size_t i = 10; i < 100; ++i) bag.add(pairs[i].a, event::read, 1);
    (void)reported(bag.select(0s));
    for (const native_handle each : closed) bag.modify(each, both);
    for (const auto& [descriptor, events] : reported(bag.select(0s)))
        EXPECT_EQ(events, both | event::error) << descriptor;
    put(pairs[50].b);
    EXPECT_EQ(reported(bag.select(1s)),
              (events_by_descriptor{{pairs[50].a.descriptor(), event::read}}));
    for (const native_handle each : closed) EXPECT_EQ(bag.remove(each), -1);
}

CASE(the_bags_own_descriptors_are_closed_by_exec) {
    const native_handle first = closed_descriptor();
    auto bag = make_bag();
    for (native_handle own_one = first; is_open(own_one); own_one = next_number(own_one))
        EXPECT_FALSE(is_inherited(own_one)) << own_one;
}

CASE(a_child_gives_no_closed_key_its_own_descriptors) {
    NEEDS(forks);
    auto bag = make_bag<int>();
    auto victim = make_pair();
    const native_handle number = victim.a.descriptor();
    bag.add(number, event::read, 1);
    victim.a.close();
    EXPECT_EQ(in_child([&] {
                  (void)reported(bag.select(0s));  // at most the failure
                  bag.wake();
                  if (!reported(bag.select(0s)).empty()) return false;
                  bag.remove(number);
                  return wakes(bag);
              }),
              0);
}

CASE(a_select_whose_unreached_keys_were_parked_still_waits) {
    auto bag = make_bag();
    auto first = make_pair();
    auto second = make_pair();
    put(first.b);
    put(second.b);
    bag.add(first.a, event::read, trigger::oneshot);
    bag.add(second.a, event::read, trigger::oneshot);
    for ([[maybe_unused]] auto entry : bag.select(1s)) break;
    bag.modify(first.a, event::none);
    bag.modify(second.a, event::none);
    expect_silence(bag, 10ms);
}

CASE(in_a_child_an_unreached_oneshot_is_told_once) {
    NEEDS(forks);
    auto bag = make_bag();
    auto first = make_pair();
    auto second = make_pair();
    put(first.b);
    put(second.b);
    bag.add(first.a, event::read, trigger::oneshot);
    bag.add(second.a, event::read, trigger::oneshot);
    for ([[maybe_unused]] auto entry : bag.select(1s)) break;
    EXPECT_EQ(in_child([&] {
                  if (reported(bag.select(1s)).size() != 1) return false;
                  return time_of([&] { (void)bag.select(10ms); }) >= 10ms;
              }),
              0);
}

CASE(an_interest_taken_back_in_a_childs_batch_is_not_reported) {
    NEEDS(forks);
    auto bag = make_bag();
    auto first = make_pair();
    auto second = make_pair();
    auto third = make_pair();
    put(first.b);
    put(second.b);
    bag.add(first.a, both);
    bag.add(second.a, both);
    for (auto [key, events] : bag.select(1s)) {
        const native_handle served = key.descriptor();
        const native_handle other =
            served == first.a.descriptor() ? second.a.descriptor() : first.a.descriptor();
        EXPECT_EQ(in_child([&] {
                      bag.modify(other, event::write);
                      bag.add(third.a, event::read);  // makes the kernel set the child's own
                      return reported(bag.select(1s)) ==
                             events_by_descriptor{{served, both}, {other, event::write}};
                  }),
                  0);
        break;
    }
}

CASE(a_failure_repaired_in_its_batch_is_no_failure) {
    for (const trigger mode : {trigger::level, trigger::oneshot}) {
        auto bag = make_bag<int>();
        auto one = make_pair();
        auto two = make_pair();
        const native_handle numbers[] = {one.a.descriptor(), two.a.descriptor()};
        for (const native_handle number : numbers) bag.add(number, event::none, 0, mode);
        one.a.close();
        two.a.close();
        for (const native_handle number : numbers) bag.modify(number, event::read);
        int seen = 0;
        native_handle other = -1;
        two_ends fresh;
        for (auto [key, events] : bag.select(0s)) {
            ASSERT_EQ(++seen, 1) << to_string(mode) << ": the repaired key was told "
                                 << to_string(events);
            other = key.descriptor() == numbers[0] ? numbers[1] : numbers[0];
            fresh = make_pair();
            if (fresh.b.descriptor() == other) std::swap(fresh.a, fresh.b);
            renumber(fresh.a, other);
            bag.modify(other, event::write);
        }
        EXPECT_EQ(reported(bag.select(0s)), (events_by_descriptor{{other, event::write}}))
            << to_string(mode);
    }
}

CASE(after_a_failed_change_an_orphan_does_not_speak_for_the_key) {
    auto bag = make_bag<int>();
    auto old = make_pair();
    const native_handle number = old.a.descriptor();
    const socket duplicate = duplicate_of(number);
    bag.add(number, event::read, 1);
    old.a.close();
    bag.modify(number, both);
    EXPECT_EQ(reported(bag.select(0s)).size(), 1U) << "the failure";
    auto fresh = make_pair();
    renumber(fresh.a, number);
    bag.modify(number, event::read);
    put(old.b);
    expect_silence(bag, 10ms);
    put(fresh.b);
    EXPECT_EQ(reported(bag.select(1s)), (events_by_descriptor{{number, event::read}}));
}

CASE(a_backend_that_refuses_a_change_has_forgotten_the_descriptor) {
    const backend_handle mechanism = open_backend(backend());
    auto old = make_pair();
    const native_handle number = old.a.descriptor();
    registration known{number, static_cast<std::uint32_t>(number), 1, event::read, trigger::level,
                       false};
    mechanism->add(known);
    old.a.close();
    auto fresh = make_pair();
    renumber(fresh.a, number);
    known.interest = event::write;
    try {
        mechanism->modify(known);
    } catch (const std::system_error&) {
        std::array<notice, 8> room;
        EXPECT_EQ(mechanism->wait(room, 0ns), 0U);
        known.generation = 2;
        mechanism->add(known);
    }
    std::array<notice, 8> room;
    ASSERT_EQ(mechanism->wait(room, 1s), 1U);
    EXPECT_EQ(event::from_bits(room[0].events), event::write);
    EXPECT_EQ(room[0].generation, known.generation);
}

CASE(after_parking_a_closed_descriptor_an_orphan_does_not_speak_for_the_key) {
    auto bag = make_bag<int>();
    auto old = make_pair();
    const native_handle number = old.a.descriptor();
    const socket duplicate = duplicate_of(number);
    bag.add(number, event::read, 1);
    old.a.close();
    bag.modify(number, event::none);
    EXPECT_TRUE(reported(bag.select(0s)).empty());
    auto fresh = make_pair();
    renumber(fresh.a, number);
    bag.modify(number, event::read);
    put(old.b);
    expect_silence(bag, 10ms);
    put(fresh.b);
    EXPECT_EQ(reported(bag.select(1s)), (events_by_descriptor{{number, event::read}}));
}

CASE(an_exclusive_key_leaves_no_orphan) {
    auto bag = make_counted_bag<int>();
    if (!bag.backend().supports(trigger::exclusive))
        NOT_EXPRESSIBLE("the mechanism cannot wake one of several; asking for exclusive is refused");
    auto old = make_pair();
    const native_handle number = old.a.descriptor();
    const socket duplicate = duplicate_of(number);
    bag.add(number, event::read, 1, trigger::exclusive);
    old.a.close();
    auto fresh = make_pair();
    renumber(fresh.a, number);
    bag.modify(number, both);
    (void)reported(bag.select(0s));
    bag.remove(number);
    put(old.b);
    const int before = counted().wait;
    expect_silence(bag, 10ms);
    EXPECT_LE(counted().wait - before, 3);
}

CASE(an_orphan_of_any_trigger_that_comes_back_can_be_added) {
    for (const trigger then : {trigger::level, trigger::exclusive, trigger::edge})
        for (const trigger now : {trigger::level, trigger::exclusive, trigger::oneshot}) {
            auto bag = make_bag<int>();
            if (!bag.backend().supports(then) ||
                (now == trigger::exclusive && !bag.backend().supports(now)))
                continue;
            auto [a, b] = make_pair();
            const native_handle number = a.descriptor();
            const socket duplicate = duplicate_of(number);
            bag.add(number, event::read, 1, then);
            a.close();
            bag.remove(number);
            const socket back = duplicate_at(duplicate.descriptor(), number);
            EXPECT_NO_THROW(bag.add(number, event::read, 2, now)) << to_string(then) << to_string(now);
        }
}

CASE(an_exclusive_key_cannot_ask_for_priority) {
    auto bag = make_bag();
    auto [a, b] = make_pair();
    EXPECT_THROW(bag.add(a, event::priority, trigger::exclusive), std::invalid_argument);
    if (!bag.backend().supports(trigger::exclusive)) return;
    bag.add(a, event::read, trigger::exclusive);
    EXPECT_THROW(bag.modify(a, event::priority), std::invalid_argument);
    EXPECT_EQ(bag.interest(a), event::read);
}

CASE(a_priority_key_that_was_removed_is_silent) {
    auto bag = make_bag();
    auto [a, b] = make_tcp_pair();
    bag.add(a, event::priority);
    bag.remove(a);
    put_urgent(b);
    expect_silence(bag, 10ms);
}

CASE(an_edge_error_hidden_by_a_change_that_is_taken_back_comes_again) {
    auto bag = make_bag();
    if (!bag.backend().supports(trigger::edge))
        NOT_EXPRESSIBLE("the mechanism is level-triggered; asking for edge is refused");
    const auto make_full_pipe = [] {
        auto [read, write] = make_pipe();
        fill(write);
        return two_ends{std::move(read), std::move(write)};
    };
    auto first = make_full_pipe();
    auto second = make_full_pipe();
    bag.add(first.b, event::write, trigger::edge);
    bag.add(second.b, event::write, trigger::edge);
    EXPECT_TRUE(reported(bag.select(0s)).empty());
    first.a.close();
    second.a.close();
    int seen = 0;
    native_handle hidden = -1;
    for (auto [key, events] : bag.select(1s)) {
        if (++seen > 1) continue;
        hidden =
            key.descriptor() == first.b.descriptor() ? second.b.descriptor() : first.b.descriptor();
        bag.modify(hidden, event::none);
    }
    EXPECT_EQ(seen, 1);
    bag.modify(hidden, event::write);
    EXPECT_EQ(reported(bag.select(0s)).count(hidden), 1U);
}

CASE(an_edge_on_a_file_is_told_once_until_modified) {
    auto bag = make_bag();
    if (!bag.backend().supports(trigger::edge))
        NOT_EXPRESSIBLE("the mechanism is level-triggered; asking for edge is refused");
    const socket file = make_file();
    bag.add(file, event::read, trigger::edge);
    EXPECT_EQ(reported(bag.select()).size(), 1U);
    expect_silence(bag, 5ms);
    bag.modify(file, event::read);
    EXPECT_EQ(reported(bag.select()).size(), 1U);
    expect_silence(bag, 5ms);
}

CASE(modify_that_throws_leaves_a_pending_failure) {
    struct picky {
        picky() = default;
        picky(picky&&) noexcept {}
        picky& operator=(picky&&) { throw std::runtime_error("no"); }
    };
    auto bag = make_bag<picky>();
    auto closed = make_pair();
    const native_handle number = closed.a.descriptor();
    bag.add(number, event::none);
    closed.a.close();
    bag.modify(number, event::read);
    (void)bag.select(0s);  // fetched, and not reached
    EXPECT_THROW(bag.modify(number, event::write, picky{}), std::runtime_error);
    EXPECT_EQ(reported(bag.select(0s)), (events_by_descriptor{{number, event::error | event::read}}));
}

// While one thread wakes the bag, an orphan makes it begin anew: the wake must not land in a descriptor
// that was closed meanwhile and is somebody else's by now.
CASE(a_wake_during_a_rebuild_writes_into_nobodys_file) {
    NEEDS(files);
    auto bag = make_bag();
    std::atomic<bool> stop = false;
    std::jthread waker{[&] {
        while (!stop) bag.wake();
    }};
    for (int round = 0; round < 200; ++round) {
        auto [a, b] = make_pair();
        const native_handle number = a.descriptor();
        bag.add(number, event::read);
        const socket duplicate = duplicate_of(number);
        a.close();
        bag.remove(number);
        put(b);
        for (int i = 0; i < 3; ++i) (void)bag.select(0s);
        std::vector<socket> opened;
        for (int i = 0; i < 4; ++i) opened.push_back(make_file());
        for (int i = 0; i < 20; ++i) (void)bag.select(0s);
        for (const socket& file : opened) ASSERT_EQ(size_of(file), 4) << "round " << round;
    }
    stop = true;
}

}  // namespace selectors::testing
