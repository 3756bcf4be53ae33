#include <optional>
#include <vector>

#include "loop/loop_case.hpp"

namespace selectors::testing {
namespace {

CASE(a_watch_is_told_until_it_is_read) {
    loop loop{backend()};
    auto [a, b] = make_pair();
    int told = 0;
    const watch reading = loop.watch(a, event::read, [&](event events) {
        EXPECT_EQ(events, event::read);
        if (++told == 3) take(a);
    });
    put(b);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(loop.run_once(1s), 1U);
    EXPECT_EQ(loop.run_once(5ms), 0U);
    EXPECT_EQ(told, 3);
}

CASE(a_watch_may_ask_for_something_else) {
    loop loop{backend()};
    auto [a, b] = make_pair();
    event told;
    watch both_ways = loop.watch(a, event::write, [&](event events) { told = events; });
    EXPECT_EQ(loop.run_once(1s), 1U);
    EXPECT_EQ(told, event::write);
    both_ways.modify(event::read);
    EXPECT_EQ(loop.run_once(5ms), 0U);
    put(b);
    both_ways.modify(both);
    EXPECT_EQ(loop.run_once(1s), 1U);
    EXPECT_EQ(told, both);
    both_ways.modify(event::none);
    b.close();
    EXPECT_EQ(loop.run_once(5ms), 0U);
    EXPECT_EQ(both_ways.interest(), event::none);
}

CASE(several_watches_of_a_descriptor_are_each_told_their_own) {
    loop loop{backend()};
    auto [a, b] = make_pair();
    event first, second, third;
    const watch one = loop.watch(a, event::read, [&](event events) { first = events; });
    watch two = loop.watch(a, event::write, [&](event events) { second = events; });
    const watch three = loop.watch(a, both, [&](event events) { third = events; });
    put(b);
    EXPECT_EQ(loop.run_once(1s), 3U);
    EXPECT_EQ(first, event::read);
    EXPECT_EQ(second, event::write);
    EXPECT_EQ(third, both);
    two = watch{};
    EXPECT_EQ(loop.run_once(1s), 2U);
}

CASE(a_watch_may_destroy_itself) {
    loop loop{backend()};
    auto [a, b] = make_pair();
    std::optional<watch> itself;
    auto alive = std::make_shared<int>(7);
    itself = loop.watch(a, event::read, [&, alive](event) {
        itself.reset();
        EXPECT_EQ(*alive, 7);
    });
    put(b);
    EXPECT_EQ(loop.run_once(1s), 1U);
    EXPECT_EQ(loop.run_once(5ms), 0U);
    EXPECT_EQ(alive.use_count(), 1);
}

CASE(what_a_watch_captured_goes_when_its_last_callback_returns) {
    loop loop{backend()};
    auto [a, b] = make_pair();
    watch itself;
    auto alive = std::make_shared<int>(7);
    itself = loop.watch(a, event::read, [&, alive](event) { itself = watch{}; });
    put(b);
    EXPECT_EQ(loop.run_once(1s), 1U);
    EXPECT_EQ(alive.use_count(), 1);
}

CASE(a_watch_that_was_destroyed_by_its_peer_is_not_told) {
    loop loop{backend()};
    auto [a, b] = make_pair();
    auto [c, d] = make_pair();
    watch first, second;
    first = loop.watch(a, event::read, [&](event) { second = watch{}; });
    second = loop.watch(c, event::read, [&](event) { first = watch{}; });
    put(b);
    put(d);
    EXPECT_EQ(loop.run_once(1s), 1U);
}

CASE(a_callback_may_destroy_the_loop) {
    std::optional<loop> made;
    made.emplace(backend());
    auto [a, b] = make_pair();
    watch reading = made->watch(a, event::read, [&](event) { made.reset(); });
    const timer later = made->after(1h, [] {});
    put(b);
    made->run();
    EXPECT_FALSE(made);
    EXPECT_FALSE(reading);
    EXPECT_FALSE(later.armed());
    reading.modify(event::write);
}

CASE(a_number_that_was_closed_and_used_anew_is_watched) {
    loop loop{backend()};
    auto [a, b] = make_pair();
    const native_handle number = a.descriptor();
    int old_told = 0;
    int new_told = 0;
    const watch old = loop.watch(a, event::read, [&](event) { ++old_told; });
    EXPECT_EQ(loop.run_once(1ms), 0U);
    a.close();
    auto [c, d] = make_pair();
    if (c.descriptor() != number && d.descriptor() == number) std::swap(c, d);
    if (c.descriptor() != number) GTEST_SKIP() << "the number was not given anew";
    const watch anew = loop.watch(c, event::read, [&](event) {
        ++new_told;
        take(c);
    });
    put(d);
    EXPECT_GE(loop.run_once(1s), 1U);
    EXPECT_EQ(new_told, 1);
}

/// Whoever comes last finds out that the descriptor is closed.
CASE(of_a_descriptor_that_is_lost_only_those_are_told_who_ask_for_something) {
    loop loop{backend()};
    auto [a, b] = make_pair();
    const native_handle number = a.descriptor();
    event told;
    const watch asking = loop.watch(a, event::read, [&](event events) { told = events; });
    const watch silent = loop.watch(a, event::none, [&](event) { FAIL(); });
    a.close();
    EXPECT_THROW((void)loop.watch(number, event::read, [](event) {}), std::system_error);
    EXPECT_EQ(loop.run_once(1s), 1U);
    EXPECT_EQ(told, event::error);
    EXPECT_FALSE(asking || silent);
}

CASE(a_lost_watch_that_is_silenced_before_it_is_told_is_silent) {
    loop loop{backend()};
    auto [a, b] = make_pair();
    const native_handle number = a.descriptor();
    watch silenced = loop.watch(a, event::read, [](event) { FAIL(); });
    a.close();
    EXPECT_THROW((void)loop.watch(number, event::read, [](event) {}), std::system_error);
    silenced.modify(event::none);
    EXPECT_EQ(loop.run_once(5ms), 0U);
    EXPECT_FALSE(silenced);
}

CASE(a_watch_of_a_closed_descriptor_is_refused) {
    loop loop{backend()};
    EXPECT_THROW((void)loop.watch(closed_descriptor(), event::read, [](event) {}), std::system_error);
    EXPECT_THROW((void)loop.watch(invalid_handle, event::read, [](event) {}), std::exception);
    auto [a, b] = make_pair();
    EXPECT_THROW((void)loop.watch(a, event::hangup, [](event) {}), std::invalid_argument);
}

// --- what other people's libraries do ------------------------------------------------------------

CASE(a_watch_may_be_made_anew_inside_its_own_callback) {
    loop loop{backend()};
    auto [a, b] = make_pair();
    int first = 0;
    int second = 0;
    auto alive = std::make_shared<int>(7);
    watch reading;
    reading = loop.watch(a, event::read, [&, alive](event) {
        ++first;
        reading = loop.watch(a, event::read, [&](event) { ++second; });
        EXPECT_EQ(*alive, 7);
    });
    put(b);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(loop.run_once(1s), 1U);
    EXPECT_EQ(first, 1);
    EXPECT_EQ(second, 2);
    EXPECT_EQ(alive.use_count(), 1);
}

// A reconnect: the new socket gets the old one's number before anybody speaks of the old watch.
CASE(a_watch_may_be_made_anew_for_a_number_that_its_own_callback_gave_anew) {
    loop loop{backend()};
    auto old = make_pair();
    auto anew = make_pair();
    const native_handle number = old.a.descriptor();
    int told = 0;
    watch reading;
    reading = loop.watch(number, event::read, [&](event) {
        old.a.close();
        renumber(anew.a, number);
        reading = loop.watch(number, event::read, [&](event) { ++told; });
    });
    put(old.b);
    EXPECT_EQ(loop.run_once(1s), 1U);
    EXPECT_EQ(loop.run_once(5ms), 0U);
    put(anew.b);
    EXPECT_EQ(loop.run_once(1s), 1U);
    EXPECT_EQ(told, 1);
}

CASE(a_watch_that_is_changed_after_its_descriptor_was_closed_is_told_an_error_once) {
    loop loop{backend()};
    auto [a, b] = make_pair();
    auto [c, d] = make_pair();
    std::vector<event> told;
    int others = 0;
    watch lost = loop.watch(a, event::read, [&](event events) { told.push_back(events); });
    const watch other = loop.watch(c, event::read, [&](event) {
        ++others;
        take(c);
    });
    EXPECT_EQ(loop.run_once(0s), 0U);
    a.close();
    lost.modify(both);
    put(d);
    for (int i = 0; i < 3; ++i) loop.run_once(1ms);
    EXPECT_EQ(told, std::vector{both | event::error});
    EXPECT_EQ(others, 1);
}

CASE(watches_of_a_number_that_is_refused_to_another_are_told_an_error_and_end) {
    loop loop{backend()};
    auto [a, b] = make_pair();
    const native_handle number = a.descriptor();
    int told = 0;
    const auto failed = [&](event events) {
        EXPECT_EQ(events, event::error);
        ++told;
    };
    watch one = loop.watch(number, event::read, failed);
    const watch two = loop.watch(number, event::read, failed);
    a.close();
    EXPECT_THROW((void)loop.watch(number, event::read, [](event) {}), std::system_error);
    for (int i = 0; i < 3; ++i) loop.run_once(1ms);
    EXPECT_EQ(told, 2);
    EXPECT_FALSE(one);
    EXPECT_FALSE(two);
    one.modify(both);
    EXPECT_EQ(loop.run_once(1ms), 0U);
}

CASE(a_file_that_lives_on_in_a_duplicate_is_not_told_to_the_watches_of_its_number) {
    loop loop{backend()};
    auto old = make_pair();
    auto anew = make_pair();
    const native_handle number = old.a.descriptor();
    const socket duplicate = duplicate_of(number);
    int told = 0;
    watch late = loop.watch(number, event::read, [](event) {});
    EXPECT_EQ(loop.run_once(0s), 0U);
    old.a.close();
    renumber(anew.a, number);
    const watch reading = loop.watch(number, event::read, [&](event) { ++told; });
    put(old.b);
    EXPECT_EQ(loop.run_once(5ms), 0U);
    late = watch{};
    EXPECT_EQ(loop.run_once(5ms), 0U);
    put(anew.b);
    EXPECT_EQ(loop.run_once(1s), 1U);
    EXPECT_EQ(told, 1);
}

}  // namespace
}  // namespace selectors::testing
