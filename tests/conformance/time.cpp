// How long a select waits: never early, never spinning, whatever the number is.
#include <climits>
#include <limits>
#include <thread>

#include "conformance.hpp"

namespace selectors::testing {
namespace {

/// Waits on another thread's wake; how long it took is at least `after`, if it waited at all.
template <class Bag, class Wait>
clock::duration waited_until_woken(Bag& bag, Wait wait, clock::duration after = 20ms) {
    const auto start = clock::now();
    std::jthread waker{[&] {
        while (clock::now() < start + after)
            std::this_thread::sleep_until(start + after);  // MinGW's is early
        bag.wake();
    }};
    wait();
    return clock::now() - start;
}

}  // namespace

CASE(zero_and_less_do_not_wait) {
    auto bag = make_counted_bag();
    for (const auto none : {0ns, -1ns, std::chrono::nanoseconds::min()}) {
        const int before = counted().wait;
        EXPECT_TRUE(reported(bag.select(none)).empty());
        EXPECT_EQ(counted().wait - before, 1);
        EXPECT_EQ(counted().last_timeout, 0ns);
    }
    EXPECT_TRUE(reported(bag.select(std::chrono::duration<double>{-1e300})).empty());
    EXPECT_TRUE(
        reported(bag.select(std::chrono::duration<double>{std::numeric_limits<double>::quiet_NaN()}))
            .empty());
    EXPECT_TRUE(reported(bag.select(std::chrono::hours::min())).empty());
    EXPECT_EQ(counted().last_timeout, 0ns);
}

// TRAPS 23.
CASE(an_empty_bag_still_waits) {
    auto bag = make_bag();
    EXPECT_GE(time_of([&] { EXPECT_TRUE(bag.select(20ms).empty()); }), 20ms);
    auto [a, b] = make_pair();
    bag.add(a, event::read);
    bag.remove(a);
    EXPECT_GE(time_of([&] { EXPECT_TRUE(bag.select(20ms).empty()); }), 20ms);
    EXPECT_GE(waited_until_woken(bag, [&] { (void)bag.select(); }), 20ms);
}

// TRAPS 18: asyncio#106, mio 0.8.5.
CASE(short_waits_are_not_early_and_do_not_spin) {
    auto bag = make_counted_bag();
    for (const auto wait : {1ns, 999ns, 100'000ns, 999'000ns, 1'000'001ns, 5'000'000ns}) {
        const int before = counted().wait;
        EXPECT_GE(time_of([&] { (void)bag.select(wait); }), wait);
        EXPECT_LE(counted().wait - before, 2) << wait.count() << " ns";
    }
}

CASE(a_duration_of_any_unit_is_rounded_up) {
    using frames = std::chrono::duration<std::int64_t, std::ratio<1, 60>>;
    auto bag = make_counted_bag();
    bag.wake();
    (void)bag.select(frames{1});
    EXPECT_EQ(counted().last_timeout, 16'666'667ns);
    bag.wake();
    (void)bag.select(std::chrono::duration<double, std::nano>{0.4});
    EXPECT_EQ(counted().last_timeout, 1ns);
    EXPECT_GE(time_of([&] { (void)bag.select(frames{1}); }), 16'666'667ns);
    EXPECT_GE(time_of([&] { (void)bag.select(std::chrono::duration<double>{0.001}); }), 1ms);
}

// TRAPS 19: mio#1948.
CASE(over_long_waits_wait) {
    using namespace std::chrono;
    auto bag = make_counted_bag();
    const auto expect_wait = [&](auto timeout) {
        EXPECT_GE(waited_until_woken(bag, [&] { EXPECT_TRUE(bag.select(timeout).empty()); }), 20ms);
    };
    expect_wait(milliseconds{INT_MAX} - 1ms);
    expect_wait(milliseconds{INT_MAX});
    expect_wait(milliseconds{INT_MAX} + 1ms);
    expect_wait(milliseconds{UINT_MAX} + 1ms);
    expect_wait(days{30});
    expect_wait(nanoseconds::max());
    expect_wait(milliseconds::max());
    expect_wait(hours::max());
    expect_wait(duration<double>{std::numeric_limits<double>::infinity()});
    expect_wait(duration<float>{1e30F});
    const int before = counted().wait;
    expect_wait(days{30});
    EXPECT_LE(counted().wait - before, 2);
}

CASE(over_long_waits_still_see_what_is_ready) {
    auto bag = make_bag();
    auto [a, b] = make_pair();
    put(b);
    bag.add(a, event::read);
    EXPECT_EQ(reported(bag.select(std::chrono::milliseconds::max())).size(), 1U);
    EXPECT_EQ(reported(bag.select(std::chrono::days{30})).size(), 1U);
    EXPECT_EQ(reported(bag.select_until(clock::time_point::max())).size(), 1U);
}

CASE(select_until_takes_any_point_in_time) {
    auto bag = make_counted_bag();
    const auto then = clock::now() + 10ms;
    EXPECT_TRUE(bag.select_until(then).empty());
    EXPECT_GE(clock::now(), then);
    for (const auto past : {clock::now() - 1h, clock::time_point{}, clock::time_point::min()}) {
        const int before = counted().wait;
        EXPECT_TRUE(bag.select_until(past).empty());
        EXPECT_EQ(counted().wait - before, 1);
        EXPECT_EQ(counted().last_timeout, 0ns);
    }
    for (const auto far :
         {clock::time_point::max(), clock::time_point::max() - 1ns, clock::now() + 1000h})
        EXPECT_GE(waited_until_woken(bag, [&] { (void)bag.select_until(far); }), 20ms);
}

// In milliseconds it would take ten times as long. The best of many, for the machine may be busy.
CASE(a_hundred_microseconds_are_not_a_millisecond) {
    if (backend_is("afd")) NOT_EXPRESSIBLE("the port of completions counts in milliseconds");
    auto bag = make_bag();
    auto best = clock::duration::max();
    for (int i = 0; i < 50; ++i)
        best = std::min(best, clock::duration{time_of([&] { (void)bag.select(100us); })});
    EXPECT_GE(best, 100us);
    EXPECT_LT(best, 900us);
}

// NTP counts in 2^-32 seconds: converted at once, half an hour of them would overflow.
CASE(over_long_units_do_not_overflow) {
    using ntp = std::chrono::duration<std::int64_t, std::ratio<1, std::int64_t{1} << 32>>;
    using sample = std::chrono::duration<std::int64_t, std::ratio<1, 44'100>>;
    auto bag = make_counted_bag();
    const auto told = [&](auto timeout) {
        bag.wake();
        (void)bag.select(timeout);
        return counted().last_timeout;
    };
    EXPECT_EQ(told(ntp{std::int64_t{1800} << 32}), 1800s);
    EXPECT_EQ(told(ntp{std::int64_t{2200} << 32}), 2200s);
    EXPECT_EQ(told(sample{44'100LL * 86'400 * 300}), 300 * 24h);
    EXPECT_EQ(told(ntp{1}), 1ns);
}

// TRAPS 17: bun#34780; the JDK under a signal storm. Of five waits the shortest counts: a wait that
// begins anew with every signal never ends while the storm lasts, and this machine may be busy.
CASE(signals_do_not_lengthen_or_shorten_a_wait) {
    NEEDS(signals);
    auto bag = make_bag();
    auto shortest = clock::duration::max();
    const signal_storm storm{333us};
    for (int i = 0; i < 5; ++i) {
        const auto waited = time_of([&] { EXPECT_TRUE(bag.select(100ms).empty()); });
        EXPECT_GE(waited, 100ms);
        shortest = std::min(shortest, waited);
    }
    EXPECT_GT(storm.signals, 100) << "there was no storm";
    EXPECT_LE(shortest, 110ms);
}

CASE(events_come_through_a_signal_storm) {
    NEEDS(signals);
    auto bag = make_bag();
    auto [a, b] = make_pair();
    bag.add(a, event::read);
    const signal_storm storm{333us};
    for (int i = 0; i < 20; ++i) {
        EXPECT_TRUE(bag.select(2ms).empty());
        put(b);
        EXPECT_EQ(reported(bag.select(1s)).size(), 1U);
        take(a);
    }
}

CASE(spin_polls_and_then_sleeps) {
    auto bag = make_counted_bag();
    auto [a, b] = make_pair();
    bag.add(a, event::read);
    bag.spin(2ms);
    int before = counted().wait;
    EXPECT_GE(time_of([&] { EXPECT_TRUE(bag.select(10ms).empty()); }), 10ms);
    EXPECT_GE(counted().wait - before, 2) << "it did not poll";
    EXPECT_GT(counted().last_timeout, 0ns) << "it did not sleep";
    EXPECT_GE(time_of([&] { EXPECT_TRUE(bag.select(1ms).empty()); }), 1ms);
    put(b);
    EXPECT_EQ(reported(bag.select()).size(), 1U);
    take(a);
    EXPECT_GE(waited_until_woken(bag, [&] { (void)bag.select(); }), 20ms);
    bag.spin(10s);
    EXPECT_LT(waited_until_woken(bag, [&] { (void)bag.select(); }), 5s) << "a wake ends the polling";
    bag.spin(0ns);
    before = counted().wait;
    EXPECT_TRUE(bag.select(5ms).empty());
    EXPECT_LE(counted().wait - before, 2);
}

}  // namespace selectors::testing
