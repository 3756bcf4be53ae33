#include <optional>
#include <vector>

#include "loop/loop_case.hpp"

namespace selectors::testing {
namespace {

CASE(timers_fire_in_the_order_of_their_deadlines_and_never_early) {
    loop loop{backend()};
    const auto start = clock::now();
    std::vector<int> order;
    const timer third = loop.after(3ms, [&] { order.push_back(3); });
    const timer first = loop.after(1ms, [&] { order.push_back(1); });
    const timer second = loop.after(2ms, [&] {
        EXPECT_GE(clock::now() - start, 2ms);
        order.push_back(2);
    });
    while (order.size() < 3) loop.run_once();
    EXPECT_EQ(order, (std::vector{1, 2, 3}));
    EXPECT_GE(clock::now() - start, 3ms);
}

CASE(a_timer_may_arm_itself_anew) {
    loop loop{backend()};
    int fired = 0;
    timer again{loop, [] {}};
    again = timer{loop, [&] {
                      if (++fired < 3) again.after(1us);
                  }};
    again.after(0s);
    while (again.armed()) loop.run_once();
    EXPECT_EQ(fired, 3);
}

CASE(a_timer_that_arms_itself_for_now_lets_the_others_come) {
    loop loop{backend()};
    auto [a, b] = make_pair();
    timer busy;
    busy = timer{loop, [&] { busy.at(clock::time_point{}); }};
    busy.after(0s);
    put(b);
    bool told = false;
    const watch reading = loop.watch(a, event::read, [&](event) { told = true; });
    for (int i = 0; i < 3 && !told; ++i) loop.run_once(1s);
    EXPECT_TRUE(told);
}

CASE(timers_for_times_that_have_passed_fire_in_the_order_they_were_armed) {
    loop loop{backend()};
    std::vector<int> order;
    const timer first = loop.at(loop.now() - 1s, [&] { order.push_back(1); });
    const timer second = loop.at(clock::time_point::min(), [&] { order.push_back(2); });
    const timer third = loop.at(loop.now(), [&] { order.push_back(3); });
    while (order.size() < 3) loop.run_once();
    EXPECT_EQ(order, (std::vector{1, 2, 3}));
}

CASE(a_timer_that_is_pushed_out_fires_at_its_new_time_only) {
    loop loop{backend()};
    const auto start = clock::now();
    int fired = 0;
    timer idle = loop.after(1ms, [&] { ++fired; });
    idle.at(start + 4ms);
    EXPECT_EQ(idle.due(), start + 4ms);
    while (idle.armed()) loop.run_once();
    EXPECT_GE(clock::now(), start + 4ms);
    EXPECT_EQ(fired, 1);
}

CASE(a_timer_that_was_cancelled_does_not_end_a_wait) {
    loop loop{backend()};
    const auto start = clock::now();
    timer cancelled = loop.after(1ms, [] { FAIL(); });
    cancelled.cancel();
    EXPECT_FALSE(cancelled.armed());
    EXPECT_EQ(cancelled.due(), clock::time_point::max());
    EXPECT_EQ(loop.run_once(10ms), 0U);
    EXPECT_GE(clock::now() - start, 10ms);
}

CASE(a_cancelled_timer_may_be_armed_anew_move_and_outlive_its_loop) {
    std::optional<loop> made;
    made.emplace(backend());
    int fired = 0;
    timer sooner = made->after(1h, [&] { ++fired; });
    timer later = made->after(0s, [&] { ++fired; });
    timer kept = made->after(1h, [] {});
    for (timer* each : {&sooner, &later, &kept}) each->cancel();
    {
        const timer destroyed = std::move(kept);
    }
    timer moved = std::move(sooner);
    moved.after(1ms);
    later.after(2ms);
    while (later.armed()) made->run_once();
    EXPECT_EQ(fired, 2);
    moved.after(1h);
    moved.cancel();
    made.reset();
    moved.after(0s);
    EXPECT_FALSE(moved.armed());
    moved.every(1ms);
    moved.at(clock::now() + 1h);
    EXPECT_FALSE(moved.armed());
}

CASE(a_beat_that_outlives_its_loop_cannot_be_armed) {
    std::optional<loop> made;
    made.emplace(backend());
    timer beat = made->every(1h, [] {});
    made.reset();
    beat.after(0s);
    EXPECT_FALSE(beat.armed());
    const timer moved = std::move(beat);
    EXPECT_FALSE(moved.armed());
}

CASE(a_beat_that_was_cancelled_and_armed_once_fires_once) {
    loop loop{backend()};
    int fired = 0;
    timer beat = loop.every(1ms, [&] { ++fired; });
    beat.cancel();
    beat.after(1ms);
    while (beat.armed()) loop.run_once();
    EXPECT_EQ(fired, 1);
    beat.every(1ms);
    beat.after(2ms);  // pushed out
    while (beat.armed()) loop.run_once();
    EXPECT_EQ(fired, 2);
}

/// As a connection does that only its timer keeps alive.
CASE(a_timer_may_be_all_that_keeps_its_owner) {
    loop loop{backend()};
    struct connection {
        timer idle;
    };
    auto one = std::make_shared<connection>();
    const std::weak_ptr<connection> seen = one;
    connection& it = *one;
    it.idle = loop.after(1h, [kept = std::move(one)] {});
    EXPECT_FALSE(seen.expired());
    it.idle = timer{};
    EXPECT_TRUE(seen.expired());
}

CASE(a_timer_may_take_the_place_of_the_one_that_owns_it) {
    loop loop{backend()};
    auto inner = std::make_unique<timer>(loop.after(0s, [] {}));
    timer& next = *inner;
    timer first = loop.after(1h, [kept = std::move(inner)] {});
    first = std::move(next);
    EXPECT_EQ(loop.run_once(1s), 1U);
}

CASE(a_timer_may_destroy_itself_and_its_loop) {
    std::optional<loop> made;
    made.emplace(backend());
    std::optional<timer> itself;
    auto alive = std::make_shared<int>(7);
    itself = made->after(0s, [&, alive] {
        itself.reset();
        made.reset();
        EXPECT_EQ(*alive, 7);
    });
    made->run();
    EXPECT_EQ(alive.use_count(), 1);
}

CASE(a_beat_stays_in_step_and_leaves_out_what_was_missed) {
    loop loop{backend()};
    const auto start = loop.now();
    std::vector<clock::time_point> beats;
    timer beat = loop.every(2ms, [&] {
        beats.push_back(clock::now());
        if (beats.size() == 2)
            while (clock::now() - start < 11ms) {
            }
        if (beats.size() == 4) beat.cancel();
    });
    const auto first = beat.due();
    while (beat.armed()) loop.run_once();
    ASSERT_EQ(beats.size(), 4U);
    for (const auto& each : beats) EXPECT_GE(each, first);
    EXPECT_EQ(beat.due(), clock::time_point::max());
}

// Assigned, as `at` and `after` of the loop's have it, instead of armed.
CASE(a_timer_may_be_made_anew_inside_its_own_callback) {
    loop loop{backend()};
    int first = 0;
    int second = 0;
    auto alive = std::make_shared<int>(7);
    timer again;
    again = loop.after(0s, [&, alive] {
        ++first;
        again = loop.after(0s, [&] { ++second; });
        EXPECT_EQ(*alive, 7);
    });
    while (again.armed()) loop.run_once();
    EXPECT_EQ(first, 1);
    EXPECT_EQ(second, 1);
    EXPECT_EQ(alive.use_count(), 1);
}

CASE(a_beat_that_was_pushed_out_to_another_period_goes_on_beating) {
    loop loop{backend()};
    int beats = 0;
    timer beat = loop.every(1ms, [&] { ++beats; });
    for (const auto& period : {2ms, 3ms, 10ms}) beat.every(period);
    while (beats < 3) EXPECT_EQ(loop.run_once(1s), 1U);
    EXPECT_TRUE(beat.armed());
}

}  // namespace
}  // namespace selectors::testing
