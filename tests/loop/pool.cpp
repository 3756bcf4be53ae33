#include <atomic>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>

#include "loop/loop_case.hpp"

namespace selectors::testing {
namespace {

CASE(a_pool_runs_each_loop_on_a_thread_of_its_own_until_it_is_stopped) {
    pool pool{3, backend()};
    std::mutex writing;
    std::set<std::thread::id> threads;
    std::atomic<int> running = 0;
    pool.run([&](loop& own) {
        {
            const std::lock_guard lock{writing};
            threads.insert(std::this_thread::get_id());
        }
        own.defer([&] {
            if (++running == 3) pool.stop();
        });
        own.run();
    });
    EXPECT_EQ(threads.size(), 3U);
    EXPECT_TRUE(threads.contains(std::this_thread::get_id()));
    EXPECT_EQ(pool.size(), 3U);
}

CASE(a_pool_hands_work_to_its_loops_in_turn) {
    pool pool{2, backend()};
    std::atomic<int> left = 100;
    std::atomic<int> ran[2] = {};
    std::atomic<int> told = 0;
    pool.run([&](loop& own) {
        const auto mine = static_cast<std::size_t>(&own == &pool.at(1));
        if (mine == 0)
            for (int i = 0; i < 100; ++i)
                pool.next().post([&] {
                    ++told;
                    if (--left == 0) pool.stop();
                });
        own.run();
        ran[mine] = static_cast<int>(own.stats().posts);
    });
    EXPECT_EQ(told, 100);
    EXPECT_EQ(ran[0], 50);
    EXPECT_EQ(ran[1], 50);
}

CASE(what_one_loop_of_a_pool_throws_ends_the_others_and_comes_out) {
    pool pool{3, backend()};
    std::atomic<int> ended = 0;
    const auto work = [&](loop& own) {
        if (&own == &pool.at(1)) throw std::runtime_error("one of them");
        own.run();
        ++ended;
    };
    EXPECT_THROW(pool.run(work), std::runtime_error);
    EXPECT_EQ(ended, 2);
    std::atomic<int> again = 0;
    pool.run([&](loop&) { ++again; });
    EXPECT_EQ(again, 3);
}

CASE(a_pool_that_was_stopped_before_it_runs_ends_at_once) {
    pool pool{2, backend()};
    pool.stop();
    std::atomic<int> ended = 0;
    pool.run([&](loop& own) {
        own.run();
        ++ended;
    });
    EXPECT_EQ(ended, 2);
}

CASE(a_pool_may_be_stopped_while_it_ends) {
    for (int i = 0; i < 20; ++i) {
        pool pool{2, backend()};
        std::atomic<bool> over = false;
        const std::jthread stopper{[&] {
            while (!over) pool.stop();
        }};
        pool.run([&](loop& own) { own.run(); });
        over = true;
    }
}

CASE(what_is_posted_to_a_loop_of_a_pool_that_has_returned_is_destroyed) {
    auto alive = std::make_shared<int>(7);
    pool pool{2, backend()};
    std::atomic<bool> returned = false;
    pool.run([&](loop& own) {
        if (&own == &pool.at(1)) {
            returned = true;
            return;
        }
        while (!returned) std::this_thread::yield();
        pool.at(1).post([alive] { FAIL(); });
    });
    EXPECT_EQ(alive.use_count(), 1);
}

}  // namespace
}  // namespace selectors::testing
