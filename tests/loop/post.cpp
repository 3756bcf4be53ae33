#include <thread>
#include <vector>

#include "loop/loop_case.hpp"

namespace selectors::testing {
namespace {

CASE(what_is_posted_from_threads_runs_exactly_once_in_each_ones_order) {
    loop loop{backend()};
    constexpr int threads = 8;
    constexpr int each = 2'000;
    std::vector<int> last(threads, -1);
    int ran = 0;
    std::vector<std::jthread> posters;
    for (int who = 0; who < threads; ++who)
        posters.emplace_back([&, who] {
            for (int i = 0; i < each; ++i)
                loop.post([&, who, i] {
                    EXPECT_EQ(last[static_cast<std::size_t>(who)], i - 1);
                    last[static_cast<std::size_t>(who)] = i;
                    if (++ran == threads * each) loop.stop();
                });
        });
    loop.run();
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

CASE(a_post_wakes_a_sleeping_loop_and_stop_ends_it) {
    loop loop{backend()};
    std::jthread other{[&] { loop.post([&] { loop.stop(); }); }};
    loop.run();
    std::jthread another{[&] { loop.stop(); }};
    loop.run();
}

}  // namespace
}  // namespace selectors::testing
