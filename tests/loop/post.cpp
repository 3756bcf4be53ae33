#include <atomic>
#include <cstdlib>
#include <thread>
#include <vector>

#include "loop/loop_case.hpp"

namespace selectors::testing {
namespace {

/// 8 x 2,000 unless the environment asks for a longer night.
long posts_per_thread() {
    const char* asked = std::getenv("SELECTORS_TEST_POSTS");
    return asked ? std::atol(asked) / 8 : 2'000;
}

CASE(what_is_posted_from_threads_runs_exactly_once_in_each_ones_order) {
    loop loop{backend()};
    constexpr long threads = 8;
    const long each = posts_per_thread();
    std::vector<long> last(threads, -1);
    long ran = 0;
    std::vector<std::jthread> posters;
    for (std::size_t who = 0; who < threads; ++who)
        posters.emplace_back([&, who] {
            for (long i = 0; i < each; ++i)
                loop.post([&, who, i] {
                    EXPECT_EQ(last[who], i - 1);
                    last[who] = i;
                    if (++ran == threads * each) loop.stop();
                });
        });
    loop.run();
    posters.clear();
    loop.run_once(0s);
    EXPECT_EQ(ran, threads * each);
}

CASE(a_post_that_is_not_run_is_destroyed_with_the_loop) {
    auto alive = std::make_shared<int>(7);
    {
        loop loop{backend()};
        loop.post([alive] { FAIL(); });
        loop.defer([alive] { FAIL(); });
    }
    EXPECT_EQ(alive.use_count(), 1);
}

/// Each is posted once the one before has run, so that the loop sleeps or is about to: a wake-up that is
/// lost is a hang.
CASE(every_post_wakes_the_loop_that_fell_asleep_meanwhile) {
    loop loop{backend()};
    constexpr int posts = 3'000;
    std::atomic<int> ran = 0;
    std::jthread other{[&] {
        for (int i = 0; i < posts; ++i) {
            loop.post([&] { ran.fetch_add(1, std::memory_order_release); });
            while (ran.load(std::memory_order_acquire) == i) std::this_thread::yield();
        }
        loop.stop();
    }};
    loop.run();
    EXPECT_EQ(ran, posts);
}

/// The second comes while the first lies there already and the loop, which sleeps, has not looked.
CASE(a_post_behind_a_post_needs_no_wake_up_of_its_own) {
    loop loop{make_counted_backend()};
    int ran = 0;
    std::jthread{[&] {
        for (int i = 0; i < 1'000; ++i) loop.post([&] { ++ran; });
    }}.join();
    while (ran < 1'000) loop.run_once(1s);
    EXPECT_EQ(counted().wake, 0) << "the loop did not sleep";
}

CASE(a_post_wakes_a_sleeping_loop_and_stop_ends_it) {
    loop loop{backend()};
    std::jthread other{[&] { loop.post([&] { loop.stop(); }); }};
    loop.run();
    std::jthread another{[&] { loop.stop(); }};
    loop.run();
}

}  // namespace
}  // namespace selectors::testing
