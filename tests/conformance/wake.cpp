// wake: from any thread and any signal handler; coalesced; never lost.
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <thread>

#include "conformance.hpp"

namespace selectors::testing {
namespace {

/// 2 x 100,000 unless the environment asks for a longer night.
long wakes_per_thread() {
    const char* asked = std::getenv("SELECTORS_TEST_WAKES");
    return asked ? std::atol(asked) / 2 : 100'000;
}

}  // namespace

CASE(a_wake_before_the_select_ends_it) {
    auto bag = make_bag();
    bag.wake();
    EXPECT_TRUE(bag.select().empty());
    EXPECT_GE(time_of([&] { EXPECT_TRUE(bag.select(10ms).empty()); }), 10ms) << "woken twice";
}

CASE(a_wake_ends_the_select_that_waits) {
    auto bag = make_bag();
    std::jthread other{[&] {
        std::this_thread::sleep_for(10ms);
        bag.wake();
    }};
    EXPECT_TRUE(bag.select().empty());
}

CASE(a_wake_does_not_hide_what_is_ready) {
    auto bag = make_bag();
    auto [a, b] = make_pair();
    put(b);
    bag.add(a, event::read);
    bag.wake();
    EXPECT_EQ(reported(bag.select()).size(), 1U);
    take(a);
    expect_silence(bag, 1ms);
}

// TRAPS 21: they overflow neither the eventfd nor the pipe.
CASE(a_million_wakes_count_as_one) {
    auto bag = make_counted_bag();
    for (int i = 0; i < 1'000'000; ++i) bag.wake();
    EXPECT_EQ(counted().wake, 1);
    EXPECT_TRUE(bag.select().empty());
    EXPECT_GE(time_of([&] { EXPECT_TRUE(bag.select(5ms).empty()); }), 5ms);
    for (int i = 0; i < 10'000; ++i) {
        bag.wake();
        EXPECT_TRUE(bag.select().empty());
    }
    EXPECT_GE(time_of([&] { EXPECT_TRUE(bag.select(5ms).empty()); }), 5ms);
}

// More than a pipe holds: nobody blocks on it, and one wait takes them all.
CASE(a_backend_woken_a_hundred_thousand_times_wakes_once) {
    const backend_handle mechanism = open_backend(backend());
    for (int i = 0; i < 100'000; ++i) mechanism->wake();
    std::array<notice, 8> room;
    const auto found = [&](std::chrono::nanoseconds timeout) {
        const std::size_t count = mechanism->wait(room, timeout);
        return count - static_cast<std::size_t>(std::count_if(
                           room.begin(), room.begin() + static_cast<std::ptrdiff_t>(count),
                           [](const notice& each) { return each.generation == 0; }));
    };
    EXPECT_LT(time_of([&] { EXPECT_EQ(found(5s), 0U); }), 5s);
    EXPECT_GE(time_of([&] { EXPECT_EQ(found(5ms), 0U); }), 5ms);
}

// TRAPS 22: mio on Windows. What is the library's own never ends a wait.
CASE(a_wake_that_was_answered_does_not_end_another_wait) {
    auto bag = make_counted_bag();
    auto [a, b] = make_pair();
    bag.add(a, event::read);
    for (int i = 0; i < 100; ++i) {
        put(b);
        bag.wake();
        EXPECT_EQ(reported(bag.select(1s)).size(), 1U);
        take(a);
        const int before = counted().wait;
        EXPECT_GE(time_of([&] { EXPECT_TRUE(bag.select(1ms).empty()); }), 1ms);
        EXPECT_LE(counted().wait - before, 3);
    }
}

// TRAPS 21: libuv#2231, Photon#261. Every number that was handed over is seen, in time.
CASE(no_wake_is_lost_between_threads) {
    auto bag = make_bag();
    constexpr int threads = 2;
    const long each = wakes_per_thread();
    std::atomic<long> posted[threads] = {};
    long seen[threads] = {};
    std::vector<std::jthread> wakers;
    for (auto& counter : posted)
        wakers.emplace_back([&] {
            for (long i = 1; i <= each; ++i) {
                counter.store(i, std::memory_order_relaxed);
                bag.wake();
            }
        });
    const auto everything_seen = [&] {
        for (int i = 0; i < threads; ++i) seen[i] = posted[i].load(std::memory_order_relaxed);
        return seen[0] == each && seen[1] == each;
    };
    while (!everything_seen()) {
        // A lost wake would leave this asleep with something posted and unseen.
        const auto waited = time_of([&] { (void)bag.select(5s); });
        ASSERT_LT(waited, 5s) << "lost after " << seen[0] << " and " << seen[1];
    }
}

CASE(what_was_written_before_a_wake_is_visible_after_the_select) {
    auto bag = make_bag();
    long plain = 0;  // not atomic: ThreadSanitizer is the judge
    std::atomic<bool> taken = true;
    std::jthread writer{[&] {
        for (long i = 1; i <= 2000; ++i) {
            while (!taken.exchange(false, std::memory_order_acquire)) std::this_thread::yield();
            plain = i;
            bag.wake();
        }
    }};
    for (long i = 1; i <= 2000; ++i) {
        (void)bag.select();
        ASSERT_EQ(plain, i);
        taken.store(true, std::memory_order_release);
    }
}

CASE(a_signal_handler_may_wake) {
    NEEDS(signals);
    auto bag = make_bag();
    static selector<>* woken;
    woken = &bag;
    const signal_to_this_thread signal{[](int) { woken->wake(); }};
    {
        std::jthread other{[&] {
            std::this_thread::sleep_for(10ms);
            signal.send();
        }};
        EXPECT_TRUE(bag.select().empty());
    }
    signal.send();
    EXPECT_TRUE(bag.select().empty());
    errno = 17;
    signal.send();
    EXPECT_EQ(errno, 17) << "wake changed errno";
}

}  // namespace selectors::testing
