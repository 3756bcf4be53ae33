// Descriptors that are closed, duplicated and reused: the kernel's books and ours.
#include <thread>
#include <vector>

#include "conformance.hpp"

namespace selectors::testing {
CASE(a_removed_key_is_silent) {
    auto bag = make_counted_bag();
    auto [a, b] = make_pair();
    bag.add(a, event::read | event::write);
    bag.remove(a);
    put(b);
    const int before = counted().wait;
    expect_silence(bag, 10ms);
    EXPECT_LE(counted().wait - before, 2) << "it wakes up for what is gone";
}

CASE(remove_in_the_same_batch_silences_the_key) {
    auto bag = make_bag();
    auto [a, b] = make_pair();
    auto [c, d] = make_pair();
    put(b);
    put(d);
    bag.add(a, event::read);
    bag.add(c, event::read);
    int seen = 0;
    for (auto [key, events] : bag.select(1s)) {
        ++seen;
        bag.remove(key.descriptor() == a.descriptor() ? c : a);
    }
    EXPECT_EQ(seen, 1);
    EXPECT_EQ(bag.size(), 1U);
}

CASE(a_key_may_remove_itself) {
    auto bag = make_bag();
    auto [a, b] = make_pair();
    put(b);
    bag.add(a, event::read);
    for (auto [key, events] : bag.select(1s)) bag.remove(key);
    EXPECT_TRUE(bag.empty());
}

// TRAPS 4: mio#219, libuv#968.
CASE(stale_event_in_same_batch) {
    auto bag = make_bag<int>();
    auto first = make_pair();
    auto second = make_pair();
    put(first.b);
    put(second.b);
    bag.add(first.a, event::read, 1);
    bag.add(second.a, event::read, 2);
    std::vector<int> seen;
    two_ends fresh;
    for (auto [key, events] : bag.select(1s)) {
        seen.push_back(key.data);
        if (seen.size() > 1) continue;
        two_ends& other = key.data == 1 ? second : first;
        const native_handle number = other.a.descriptor();
        bag.remove(other.a);
        other.a.close();
        fresh = make_pair();
        renumber(fresh.a, number);
        bag.add(fresh.a, event::read, 3);
    }
    EXPECT_EQ(seen.size(), 1U) << "the new key was told the old one's event";
    put(fresh.b);
    EXPECT_EQ(reported(bag.select(1s)).count(fresh.a.descriptor()), 1U);
}

CASE(a_key_removed_and_added_again_in_one_batch_sees_no_old_event) {
    auto bag = make_bag<int>();
    auto [a, b] = make_pair();
    auto [c, d] = make_pair();
    put(b);
    put(d);
    bag.add(a, event::read, 1);
    bag.add(c, event::read, 2);
    int seen = 0;
    for (auto [key, events] : bag.select(1s)) {
        ++seen;
        const auto& other = key.data == 1 ? c : a;
        bag.remove(other);
        bag.add(other, event::read, 3);
    }
    EXPECT_EQ(seen, 1);
    EXPECT_EQ(reported(bag.select(1s)).size(), 2U) << "it is ready, and the next select says so";
}

// TRAPS 1: CPython's EpollSelector, mio#361, uvloop#61, libuv#4323.
CASE(duplicate_close_reuse) {
    auto bag = make_counted_bag<int>();
    auto old = make_pair();
    const native_handle number = old.a.descriptor();
    const socket duplicate = duplicate_of(number);
    bag.add(number, event::read, 1);
    old.a.close();
    bag.remove(number);
    auto fresh = make_pair();
    renumber(fresh.a, number);
    bag.add(number, event::read, 2);
    put(old.b);  // readable for ever, through the duplicate
    const int before = counted().wait;
    expect_silence(bag, 50ms);
    expect_silence(bag, 50ms);
    EXPECT_LE(counted().wait - before, 3) << "it spins";
    put(fresh.b);
    EXPECT_EQ(reported(bag.select(1s)), (events_by_descriptor{{number, event::read}}));
}

// Where the kernel is not told of a removal, it wakes the bag once, and in vain.
CASE(who_was_removed_and_stays_open_is_silent) {
    for (const trigger mode : {trigger::level, trigger::oneshot}) {
        auto bag = make_counted_bag();
        auto [a, b] = make_pair();
        auto [c, d] = make_pair();
        bag.add(a, event::read, mode);
        bag.add(c, event::read);
        bag.remove(a);
        put(b);
        const int before = counted().wait;
        expect_silence(bag, 50ms);
        expect_silence(bag, 50ms);
        EXPECT_LE(counted().wait - before, 3) << "it spins";
        put(d);
        EXPECT_EQ(reported(bag.select(1s)), (events_by_descriptor{{c.descriptor(), event::read}}));
        bag.add(a.view(), event::read, mode);
        EXPECT_EQ(reported(bag.select(1s)).size(), 2U);
    }
}

CASE(who_was_removed_behind_others_that_are_ready_wakes_nobody_for_ever) {
    auto bag = make_counted_bag();
    auto busy = make_pair();
    auto gone = make_pair();
    put(busy.b);
    bag.add(busy.a, event::read);
    bag.add(gone.a, event::read);
    bag.remove(gone.a);
    put(gone.b);
    for (int i = 0; i < 10; ++i)
        EXPECT_EQ(reported(bag.select(1s)), (events_by_descriptor{{busy.a.descriptor(), event::read}}));
    take(busy.a);
    const int before = counted().wait;
    expect_silence(bag, 50ms);
    EXPECT_LE(counted().wait - before, 2) << "it spins";
}

CASE(who_was_removed_can_be_added_again_in_any_way) {
    auto bag = make_bag<int>();
    auto [a, b] = make_pair();
    auto [c, d] = make_pair();
    put(b);
    bag.add(c, event::read, 0);
    for (int round = 0; round < 3; ++round) {
        bag.add(a.view(), event::read, 1);
        EXPECT_EQ(reported(bag.select(1s)), (events_by_descriptor{{a.descriptor(), event::read}}));
        bag.remove(a);
        bag.add(a.view(), event::none, 2);  // parked, and gone again
        bag.remove(a);
        bag.add(a, event::write, 3);  // owned
        EXPECT_EQ(reported(bag.select(1s)), (events_by_descriptor{{a.descriptor(), event::write}}));
        bag.remove(a);
        bag.add(a.view(), event::none, 4);
        expect_silence(bag, 5ms);
        bag.modify(a, event::read);
        EXPECT_EQ(reported(bag.select(1s)), (events_by_descriptor{{a.descriptor(), event::read}}));
        bag.remove(a);
    }
}

/// A mechanism may expect from then on that it has whatever is added.
void go_and_come_back(selector<>& bag, const socket& who) {
    for (int round = 0; round < 3; ++round) {
        bag.add(who, event::read);
        bag.remove(who);
    }
    bag.add(who, event::read);
}

CASE(who_comes_back_does_not_stand_for_who_is_new) {
    auto bag = make_bag();
    auto [a, b] = make_pair();
    auto [c, d] = make_pair();
    go_and_come_back(bag, a);
    bag.add(c, event::read);
    put(d);
    EXPECT_EQ(reported(bag.select(1s)), (events_by_descriptor{{c.descriptor(), event::read}}));
    bag.remove(a);
    go_and_come_back(bag, a);
    EXPECT_THROW(bag.add(closed_descriptor(), event::read), std::system_error);
    EXPECT_EQ(bag.size(), 2U);
    auto [e, f] = make_pair();
    bag.add(e, event::read,
            bag.backend().supports(trigger::exclusive) ? trigger::exclusive : trigger::oneshot);
    put(b);
    put(f);
    EXPECT_EQ(reported(bag.select(1s)), (events_by_descriptor{{a.descriptor(), event::read},
                                                              {c.descriptor(), event::read},
                                                              {e.descriptor(), event::read}}));
}

CASE(who_comes_back_does_not_stand_for_a_file) {
    NEEDS(files);
    auto bag = make_bag();
    auto [a, b] = make_pair();
    const socket file = make_file();
    go_and_come_back(bag, a);
    bag.add(file, event::read);
    EXPECT_EQ(reported(bag.select()), (events_by_descriptor{{file.descriptor(), event::read}}));
    EXPECT_EQ(reported(bag.select()), (events_by_descriptor{{file.descriptor(), event::read}}));
}

CASE(who_comes_back_does_not_stand_for_an_orphan) {
    auto bag = make_bag();
    auto [a, b] = make_pair();
    auto gone = make_pair();
    const native_handle number = gone.a.descriptor();
    const socket duplicate = duplicate_of(number);
    bag.add(gone.a, event::read);
    bag.remove(gone.a);
    go_and_come_back(bag, a);
    gone.a.close();
    auto fresh = make_pair();
    renumber(fresh.a, number);
    bag.add(fresh.a, event::read);
    put(gone.b);
    expect_silence(bag, 20ms);
    put(fresh.b);
    EXPECT_EQ(reported(bag.select(1s)), (events_by_descriptor{{number, event::read}}));
}

CASE(nothing_that_was_left_ends_a_wait_behind_a_wake) {
    auto bag = make_counted_bag();
    auto [a, b] = make_pair();
    auto [c, d] = make_pair();
    bag.add(a, event::read);
    bag.add(c, event::read);
    put(d);
    counted().meanwhile = [&] { bag.wake(); };
    (void)bag.select(1s);  // c; the wake is consumed, what the kernel says of it is still to come
    counted().meanwhile = {};
    take(c);
    bag.remove(a);
    put(b);
    expect_silence(bag, 50ms);
}

CASE(who_was_removed_and_is_parked_now_is_silent) {
    auto bag = make_counted_bag();
    auto [a, b] = make_pair();
    bag.add(a, event::read);
    bag.remove(a);
    bag.add(a, event::none);
    put(b);
    const int before = counted().wait;
    expect_silence(bag, 50ms);
    EXPECT_LE(counted().wait - before, 2) << "it spins";
    bag.modify(a, event::read);
    EXPECT_EQ(reported(bag.select(1s)), (events_by_descriptor{{a.descriptor(), event::read}}));
}

CASE(a_poll_tells_of_the_ready_however_many_were_removed) {
    auto bag = make_bag();
    if (!bag.backend().forgets_what_is_closed())
        NOT_EXPRESSIBLE("the mechanism is told of every removal");
    std::vector<two_ends> gone;
    for (int i = 0; i < 1100; ++i) {
        gone.push_back(make_pair());
        bag.add(gone.back().a, event::read);
    }
    for (const two_ends& each : gone) {
        bag.remove(each.a);
        put(each.b);
    }
    auto [a, b] = make_pair();
    bag.add(a, event::read);
    put(b);
    EXPECT_EQ(reported(bag.select(0s)), (events_by_descriptor{{a.descriptor(), event::read}}));
}

CASE(what_was_left_makes_room_where_the_kernel_has_no_more) {
    auto bag = make_counted_bag();
    if (!bag.backend().forgets_what_is_closed())
        NOT_EXPRESSIBLE("the mechanism is told of every removal");
    auto [a, b] = make_pair();
    auto [c, d] = make_pair();
    const auto full_until_one_was_removed = [this] {
        if (counted().remove == 0)
            throw std::system_error(std::make_error_code(std::errc::no_space_on_device), "full");
    };
    counted().before_add = full_until_one_was_removed;
    EXPECT_THROW(bag.add(a, event::read), std::system_error);
    counted().before_add = {};
    bag.add(a, event::read);
    bag.remove(a);
    counted().before_add = full_until_one_was_removed;
    bag.add(c, event::read);
    counted().before_add = {};
    EXPECT_EQ(counted().remove, 1);
    put(b);
    expect_silence(bag, 5ms);
    put(d);
    EXPECT_EQ(reported(bag.select(1s)), (events_by_descriptor{{c.descriptor(), event::read}}));
}

CASE(a_set_that_could_not_be_made_anew_is_made_with_the_next_select) {
    auto bag = make_counted_bag();
    if (!bag.backend().forgets_what_is_closed())
        NOT_EXPRESSIBLE("the mechanism is told of every removal");
    auto [a, b] = make_pair();
    auto [c, d] = make_pair();
    bag.add(a, event::read);
    bag.add(c, event::read);
    bag.remove(a);
    counted().before_reopen = [] {
        throw std::system_error(std::make_error_code(std::errc::too_many_files_open), "refused");
    };
    EXPECT_THROW((void)bag.descriptor(), std::system_error);
    EXPECT_THROW((void)bag.select(0s), std::system_error);
    counted().before_reopen = {};
    put(d);
    EXPECT_EQ(reported(bag.select(1s)), (events_by_descriptor{{c.descriptor(), event::read}}));
    EXPECT_EQ(counted().reopen, 3);
}

CASE(who_goes_and_is_closed_need_not_be_told_of) {
    auto bag = make_counted_bag();
    for (int i = 0; i < 10; ++i) {
        auto [a, b] = make_pair();
        bag.add(a, event::read);
        put(b);
        EXPECT_EQ(reported(bag.select(1s)).size(), 1U);
        bag.remove(a);
    }
    EXPECT_EQ(counted().remove, bag.backend().forgets_what_is_closed() ? 0 : 10);
}

CASE(its_descriptor_stays_the_same_whatever_was_left) {
    auto bag = make_bag();
    auto outer = make_bag();
    auto [c, d] = make_pair();
    auto gone = make_pair();
    const socket duplicate = duplicate_of(gone.a.descriptor());
    bag.add(c, event::read);
    bag.add(gone.a, event::read);
    bag.remove(gone.a);
    gone.a.close();
    const native_handle shown = bag.descriptor();
    if (shown == invalid_handle) NOT_EXPRESSIBLE("the mechanism has no descriptor of its own");
    outer.add(shown, event::read);
    put(gone.b);
    expect_silence(outer, 20ms);
    expect_silence(bag, 5ms);
    auto later = make_pair();
    const socket another = duplicate_of(later.a.descriptor());
    bag.add(later.a, event::read);
    bag.remove(later.a);
    later.a.close();
    put(later.b);
    expect_silence(outer, 20ms);
    EXPECT_EQ(bag.descriptor(), shown);
    put(d);
    EXPECT_EQ(reported(outer.select(1s)).size(), 1U);
    EXPECT_EQ(reported(bag.select(1s)), (events_by_descriptor{{c.descriptor(), event::read}}));
}

CASE(where_no_descriptor_is_left_an_orphan_is_silent_all_the_same) {
    NEEDS(descriptor_limits);
    auto bag = make_counted_bag();
    auto [c, d] = make_pair();
    auto gone = make_pair();
    const socket duplicate = duplicate_of(gone.a.descriptor());
    bag.add(c, event::read);
    bag.add(gone.a, event::read);
    bag.remove(gone.a);
    gone.a.close();
    put(gone.b);
    {
        const native_handle next_free = closed_descriptor();
        const descriptor_limit limit{next_free};
        expect_silence(bag, 20ms);
        expect_silence(bag, 20ms);
        EXPECT_LE(counted().wait, 5) << "it spins";
        put(d);
        EXPECT_EQ(reported(bag.select(1s)), (events_by_descriptor{{c.descriptor(), event::read}}));
    }
}

CASE(after_an_orphan_removals_are_told) {
    auto bag = make_counted_bag();
    auto [stays, other] = make_pair();
    bag.add(stays, event::read);
    for (int round = 0; round < 3; ++round) {
        auto old = make_pair();
        const socket duplicate = duplicate_of(old.a.descriptor());
        const native_handle number = old.a.descriptor();
        bag.add(number, event::read);
        old.a.close();
        bag.remove(number);
        put(old.b);
        const int before = counted().wait;
        expect_silence(bag, 20ms);
        EXPECT_LE(counted().wait - before, 3) << "it spins";
    }
    // A file that lives on elsewhere is taken out before it is closed.
    const int before = counted().reopen;
    for (int round = 0; round < 3; ++round) {
        auto old = make_pair();
        const socket duplicate = duplicate_of(old.a.descriptor());
        bag.add(old.a, event::read);
        bag.remove(old.a);
        old.a.close();
        put(old.b);
        expect_silence(bag, 5ms);
    }
    EXPECT_EQ(counted().reopen, before) << "each orphan makes it begin anew";
    put(other);
    EXPECT_EQ(reported(bag.select(1s)).size(), 1U);
}

CASE(an_orphan_that_comes_back_to_its_number_can_be_added) {
    auto bag = make_bag<int>();
    auto [a, b] = make_pair();
    const native_handle number = a.descriptor();
    const socket duplicate = duplicate_of(number);
    bag.add(number, event::read, 1);
    a.close();
    bag.remove(number);
    const socket back = duplicate_at(duplicate.descriptor(), number);
    bag.add(number, event::write, 2);
    put(b);
    EXPECT_EQ(reported(bag.select(1s)), (events_by_descriptor{{number, event::write}}));
    bag.remove(number);
    EXPECT_TRUE(reported(bag.select(0s)).empty());
}

CASE(an_orphan_kept_alive_by_a_fork_is_silent) {
    NEEDS(forks);
    auto bag = make_counted_bag();
    auto old = make_pair();
    auto [stop, stopped] = make_pair();
    bag.add(old.a, event::read);
    // Holds old.a open until the parent's end of `stop` closes.
    const child holder{[&] {
        stop.close();
        stopped.set_mode(blocking);
        std::array<char, 1> room;
        return stopped.recv(room).has_value();
    }};
    const native_handle number = old.a.descriptor();
    old.a.close();
    bag.remove(number);
    put(old.b);
    const int before = counted().wait;
    expect_silence(bag, 50ms);
    expect_silence(bag, 50ms);
    EXPECT_LE(counted().wait - before, 4) << "it spins";
    stop.close();
    EXPECT_EQ(holder.join(), 0);
}

CASE(a_rebuild_for_an_orphan_keeps_everybody_else) {
    auto bag = make_bag<int>();
    auto level = make_pair();
    auto parked = make_pair();
    auto spent = make_pair();
    auto armed = make_pair();
    auto old = make_pair();
    put(spent.b);
    put(parked.b);
    bag.add(level.a, event::read, 1);
    bag.add(parked.a, event::none, 2);
    bag.add(spent.a, event::read, 3, trigger::oneshot);
    EXPECT_EQ(reported(bag.select(1s)).size(), 1U);
    bag.add(armed.a, event::read, 4, trigger::oneshot);
    bag.add(old.a, event::read, 5);
    const socket duplicate = duplicate_of(old.a.descriptor());
    const native_handle number = old.a.descriptor();
    old.a.close();
    bag.remove(number);
    put(old.b);
    expect_silence(bag, 10ms);

    put(level.b);
    put(armed.b);
    const auto expected =
        events_by_descriptor{{level.a.descriptor(), event::read}, {armed.a.descriptor(), event::read}};
    EXPECT_EQ(reported(bag.select(1s)), expected);
    bag.modify(spent.a, event::read);
    bag.modify(parked.a, event::read);
    EXPECT_EQ(reported(bag.select(1s)).size(), 3U);
}

// TRAPS 2: polling#262.
CASE(bookkeeping_outlives_close) {
    auto bag = make_bag<int>();
    auto old = make_pair();
    const native_handle number = old.a.descriptor();
    bag.add(number, event::read, 1);
    old.a.close();
    EXPECT_EQ(bag.remove(number), 1);
    auto fresh = make_pair();
    renumber(fresh.a, number);
    bag.add(number, event::read, 2);
    put(fresh.b);
    EXPECT_EQ(reported(bag.select(1s)), (events_by_descriptor{{number, event::read}}));
}

// TRAPS 4, wepoll#34: what was under way for a socket that is gone is nobody's, whoever has its number.
CASE(closing_and_reopening_while_data_flows_tells_nothing_stale) {
    struct life {
        selectors::socket socket;
        selectors::socket peer;
        bool fed = false;
    };
    auto bag = make_bag<life>();
    const auto begin = [&] {
        auto [a, b] = make_tcp_pair();
        bag.add(life{std::move(a), std::move(b)}, event::read);
    };
    for (int i = 0; i < 16; ++i) begin();
    int told = 0;
    int stale = 0;
    for (int round = 0; round < 100; ++round) {
        int fed = 0;
        for (auto key : bag.keys())
            if (++fed % 3 != round % 3) {
                put(key.data.peer);
                key.data.fed = true;
            }
        int ended = 0;
        for (auto [key, events] : bag.select(1s)) {
            ++told;
            stale += !key.data.fed;
            if (++ended % 2 == 0) continue;
            bag.remove(key);  // closes it, with what it has not read
            begin();
        }
        ended = 0;
        for (auto key : bag.keys())
            if (++ended == 5) {  // polled, and not told
                bag.remove(key);
                begin();
                break;
            }
    }
    EXPECT_GT(told, 100);
    EXPECT_EQ(stale, 0);
    EXPECT_EQ(bag.size(), 16U);
}

// TRAPS 3: POLLNVAL for ever, EBADF for all.
CASE(closed_in_the_bag) {
    auto bag = make_counted_bag<int>();
    auto closed = make_pair();
    auto [a, b] = make_pair();
    const native_handle number = closed.a.descriptor();
    bag.add(number, event::read | event::write, 1);
    bag.add(a, event::read, 2);
    closed.a.close();
    const int before = counted().wait;
    expect_silence(bag, 20ms);
    expect_silence(bag, 20ms);
    EXPECT_LE(counted().wait - before, 4) << "it spins";
    put(b);
    EXPECT_EQ(reported(bag.select(1s)), (events_by_descriptor{{a.descriptor(), event::read}}));
    EXPECT_EQ(bag.remove(number), 1);
    EXPECT_EQ(reported(bag.select(1s)).size(), 1U);
    EXPECT_EQ(bag.size(), 1U);
}

CASE(many_closed_in_the_bag_at_once) {
    auto bag = make_bag<int>();
    std::vector<two_ends> pairs;
    std::vector<native_handle> numbers;
    for (int i = 0; i < 100; ++i) {
        pairs.push_back(make_pair());
        numbers.push_back(pairs.back().a.descriptor());
        bag.add(numbers.back(), event::read, i);
    }
    for (auto& [a, b] : pairs) put(b);
    events_by_descriptor alive;
    for (std::size_t i = 0; i < pairs.size(); ++i)
        if (i % 3 == 0)
            pairs[i].a.close();
        else
            alive.emplace(numbers[i], event::read);
    EXPECT_EQ(reported(bag.select(1s)), alive);
    for (const native_handle number : numbers) bag.remove(number);
    EXPECT_TRUE(bag.empty());
}

CASE(modify_of_a_closed_descriptor_reports_an_error_once_and_parks) {
    auto bag = make_bag<int>();
    auto closed = make_pair();
    auto [a, b] = make_pair();
    const native_handle number = closed.a.descriptor();
    bag.add(number, event::read, 1);
    bag.add(a, event::read, 2);
    put(b);
    closed.a.close();
    bag.modify(number, event::write);
    const auto first = reported(bag.select(1s));
    ASSERT_EQ(first.size(), 2U);
    EXPECT_EQ(first.at(number), event::error | event::write) << "beside what was asked for";
    EXPECT_EQ(first.at(a.descriptor()), event::read);
    EXPECT_EQ(bag.interest(number), event::none);
    EXPECT_EQ(reported(bag.select(1s)).size(), 1U);
    // Another change tries again.
    bag.modify(number, event::read);
    EXPECT_EQ(reported(bag.select(1s)).size(), 2U);
    EXPECT_EQ(bag.remove(number), 1);
}

CASE(modify_of_what_was_closed_while_it_was_watched_reports_an_error_once) {
    auto bag = make_bag<int>();
    auto closed = make_pair();
    const native_handle number = closed.a.descriptor();
    bag.add(number, event::read, 1);
    EXPECT_TRUE(reported(bag.select(0s)).empty());
    closed.a.close();
    bag.modify(number, event::write);
    EXPECT_EQ(reported(bag.select(1s)), (events_by_descriptor{{number, event::error | event::write}}));
    EXPECT_TRUE(reported(bag.select(0s)).empty());
    EXPECT_EQ(bag.remove(number), 1);
}

CASE(what_another_thread_closes_during_a_select_is_silent) {
    auto bag = make_bag<int>();
    auto closed = make_pair();
    const native_handle number = closed.a.descriptor();
    bag.add(number, event::read, 1);
    std::jthread other{[&] {
        std::this_thread::sleep_for(10ms);
        closed.a.close();
    }};
    expect_silence(bag, 30ms);
    other.join();
    expect_silence(bag, 10ms);
    EXPECT_EQ(bag.remove(number), 1);
}

CASE(an_orphan_left_by_a_failed_change_is_silent) {
    auto bag = make_counted_bag<int>();
    auto old = make_pair();
    const native_handle number = old.a.descriptor();
    const socket duplicate = duplicate_of(number);
    bag.add(number, event::read, 1);
    old.a.close();
    bag.modify(number, event::read | event::write);
    EXPECT_EQ(reported(bag.select(0s)).size(), 1U) << "the failure";
    put(old.b);
    const int before = counted().wait;
    expect_silence(bag, 20ms);
    expect_silence(bag, 20ms);
    EXPECT_LE(counted().wait - before, 4) << "it spins";
}

CASE(a_wake_reaches_a_bag_that_began_anew_for_a_failed_change) {
    auto bag = make_bag<int>();
    auto closed = make_pair();
    auto [a, b] = make_pair();
    const native_handle number = closed.a.descriptor();
    bag.add(number, event::read, 1);
    bag.add(a, both, 2);
    closed.a.close();
    bag.modify(number, event::write);
    EXPECT_EQ(reported(bag.select(1s)).size(), 2U);
    bag.modify(a, event::read);
    expect_silence(bag, 1ms);
    std::jthread other{[&] {
        std::this_thread::sleep_for(10ms);
        bag.wake();
    }};
    EXPECT_LT(time_of([&] { EXPECT_TRUE(bag.select(5s).empty()); }), 5s);
    put(b);
    EXPECT_EQ(reported(bag.select(1s)), (events_by_descriptor{{a.descriptor(), event::read}}));
}

CASE(unparking_a_closed_descriptor_reports_an_error_once) {
    auto bag = make_bag<int>();
    auto closed = make_pair();
    const native_handle number = closed.a.descriptor();
    bag.add(number, event::none, 1);
    closed.a.close();
    bag.modify(number, event::read);
    EXPECT_EQ(reported(bag.select(1s)), (events_by_descriptor{{number, event::error | event::read}}));
    EXPECT_TRUE(reported(bag.select(0s)).empty());
    EXPECT_EQ(bag.remove(number), 1);
}

CASE(a_failure_that_was_not_reached_comes_with_the_next_select) {
    auto bag = make_bag<int>();
    auto closed = make_pair();
    const native_handle number = closed.a.descriptor();
    bag.add(number, event::none, 1);
    closed.a.close();
    bag.modify(number, event::read);
    (void)bag.select(0s);
    EXPECT_EQ(reported(bag.select(0s)).size(), 1U);
    EXPECT_TRUE(reported(bag.select(0s)).empty());
}

CASE(a_failure_that_is_taken_back_is_not_reported) {
    auto bag = make_bag<int>();
    auto closed = make_pair();
    const native_handle number = closed.a.descriptor();
    bag.add(number, event::none, 1);
    closed.a.close();
    bag.modify(number, event::read);
    (void)bag.select(0s);
    bag.modify(number, event::none);
    EXPECT_TRUE(reported(bag.select(0s)).empty());
    EXPECT_EQ(bag.remove(number), 1);
}

CASE(remove_of_a_parked_and_of_a_closed_parked_key_works) {
    auto bag = make_bag<int>();
    auto [a, b] = make_pair();
    bag.add(a, event::read, 1);
    bag.modify(a, event::none);
    (void)bag.select(0s);
    const native_handle number = a.descriptor();
    a.close();
    EXPECT_EQ(bag.remove(number), 1);
    auto fresh = make_pair();
    renumber(fresh.a, number);
    put(fresh.b);
    EXPECT_TRUE(reported(bag.select(0s)).empty());
}

}  // namespace selectors::testing
