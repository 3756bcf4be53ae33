#include <stdexcept>
#include <vector>

#include "loop/loop_case.hpp"

namespace selectors::testing {
namespace {

CASE(what_a_callback_throws_comes_out_and_nothing_else_is_lost) {
    loop loop{backend()};
    auto [a, b] = make_pair();
    std::vector<int> ran;
    const timer early = loop.after(0s, [&] {
        ran.push_back(1);
        throw std::runtime_error("one");
    });
    put(b);
    const watch reading = loop.watch(a, event::read, [&](event) {
        ran.push_back(2);
        take(a);
        throw std::runtime_error("two");
    });
    loop.post([&] {
        ran.push_back(3);
        throw std::runtime_error("three");
    });
    loop.defer([&] {
        ran.push_back(4);
        loop.stop();
    });
    int thrown = 0;
    for (bool done = false; !done;) try {
            loop.run();
            done = true;
        } catch (const std::runtime_error&) {
            ++thrown;
        }
    EXPECT_EQ(thrown, 3);
    std::sort(ran.begin(), ran.end());
    EXPECT_EQ(ran, (std::vector{1, 2, 3, 4}));
}

CASE(a_callback_must_not_run_the_loop) {
    loop loop{backend()};
    loop.defer([&] { EXPECT_THROW(loop.run_once(0s), std::logic_error); });
    EXPECT_EQ(loop.run_once(0s), 1U);
}

CASE(what_is_deferred_meanwhile_is_for_the_next_turn) {
    loop loop{backend()};
    std::vector<int> order;
    loop.defer([&] {
        order.push_back(1);
        loop.defer([&] { order.push_back(3); });
    });
    loop.defer([&] { order.push_back(2); });
    EXPECT_EQ(loop.run_once(), 2U);
    EXPECT_EQ(loop.run_once(), 1U);
    EXPECT_EQ(order, (std::vector{1, 2, 3}));
}

CASE(stop_leaves_what_else_is_due_to_the_next_run) {
    loop loop{backend()};
    int ran = 0;
    for (int i = 0; i < 3; ++i)
        loop.defer([&] {
            ++ran;
            loop.stop();
        });
    for (int expected = 1; expected <= 3; ++expected) {
        loop.run();
        EXPECT_EQ(ran, expected);
    }
}

CASE(an_observer_is_told_of_every_callback) {
    struct seen : loop_observer {
        void callback_begins(const callback_info& what) override { begun.emplace_back(what.kind); }
        void callback_ends(const callback_info& what) override {
            ended.emplace_back(what.kind);
            line = what.where.line();
        }
        std::vector<std::string> begun, ended;
        unsigned line = 0;
    } seen;
    loop loop{backend()};
    loop.observe(&seen);
    const timer now = loop.after(0s, [] {});
    loop.defer([] { throw 7; });
    const unsigned here = __LINE__ - 1;
    EXPECT_THROW(while (true) loop.run_once(), int);
    EXPECT_EQ(seen.begun, (std::vector<std::string>{"timer", "defer"}));
    EXPECT_EQ(seen.ended, seen.begun);
    EXPECT_EQ(seen.line, here);
    loop.observe(nullptr);
}

}  // namespace
}  // namespace selectors::testing
