#include <memory>
#include <optional>
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

CASE(a_stop_before_anything_is_due_runs_nothing) {
    loop loop{backend()};
    auto [a, b] = make_pair();
    put(b);
    int ran = 0;
    const watch reading = loop.watch(a, event::read, [&](event) { ++ran; });
    const timer due = loop.after(0s, [&] { ++ran; });
    loop.post([&] { ++ran; });
    loop.stop();
    loop.run();
    EXPECT_EQ(ran, 0);
    loop.stop();
    EXPECT_EQ(loop.run_once(), 0U);
}

CASE(a_stop_while_the_loop_waits_leaves_what_was_found_for_the_next_run) {
    loop loop{make_counted_backend()};
    auto [a, b] = make_pair();
    put(b);
    int ran = 0;
    const watch reading = loop.watch(a, event::read, [&](event) { ++ran; });
    const timer due = loop.after(0s, [&] { ++ran; });
    counted().meanwhile = [&] { loop.stop(); };
    loop.run();
    EXPECT_EQ(ran, 0);
    counted().meanwhile = nullptr;
    EXPECT_GE(loop.run_once(1s), 2U);
}

CASE(what_is_thrown_away_with_a_loop_may_ask_it_for_anything) {
    auto [a, b] = make_pair();
    std::optional<loop> made;
    made.emplace(backend());
    struct last_wishes {
        ~last_wishes() {
            if (!of) return;
            of->post([] { FAIL(); });
            of->defer([] { FAIL(); });
            of->stop();
            of->wake();
            const timer never = of->after(0s, [] { FAIL(); });
            EXPECT_FALSE(never.armed());
            EXPECT_THROW((void)of->watch(fd, event::write, [](event) { FAIL(); }), std::logic_error);
            EXPECT_THROW((signals{*of, {SIGINT}, [](int) { FAIL(); }}), std::logic_error);
            EXPECT_THROW((selectors::child{*of, 1, [](exit_status) { FAIL(); }}), std::logic_error);
            EXPECT_EQ(of->run_once(1s), 0U);
            of->spin(1us);
        }
        last_wishes(loop& on, socket_view what) : of{&on}, fd{what} {}
        last_wishes(last_wishes&& other) noexcept
            : of{std::exchange(other.of, nullptr)}, fd{other.fd} {}
        loop* of;
        socket_view fd;
    };
    made->post([wishes = last_wishes{*made, a}] { FAIL(); });
    made->defer([wishes = last_wishes{*made, a}] { FAIL(); });
    made.reset();
}

CASE(a_turn_has_time_for_some_hundreds_of_each_kind) {
    loop loop{backend()};
    std::vector<timer> timers;
    for (int kind = 0; kind < 3; ++kind) {
        for (int i = 0; i < 1'000; ++i) {
            if (kind == 0) loop.post([] {});
            if (kind == 1) loop.defer([] {});
            if (kind == 2) timers.push_back(loop.after(0s, [] {}));
        }
        const std::size_t ran = loop.run_once(0s);
        EXPECT_GE(ran, 100U);
        EXPECT_LE(ran, 500U);
        std::size_t rest = 0;
        while (const std::size_t more = loop.run_once(0s)) rest += more;
        EXPECT_EQ(ran + rest, 1'000U);
    }
}

CASE(what_was_found_ready_is_told_before_the_loop_looks_again) {
    constexpr std::size_t count = 400;  // more than one turn tells
    loop loop{backend()};
    std::vector<two_ends> pairs;
    std::vector<watch> watches;
    std::size_t told = 0;
    for (std::size_t i = 0; i < count; ++i) {
        pairs.push_back(make_pair());
        put(pairs.back().b);
        watches.push_back(loop.watch(pairs.back().a, event::read, [&told, i, &pairs](event) {
            ++told;
            take(pairs[i].a);
        }));
    }
    std::size_t turns = 0;
    for (; told < count; ++turns) ASSERT_GT(loop.run_once(1s), 0U);
    EXPECT_EQ(told, count);
    EXPECT_GT(turns, 1U);
    EXPECT_LE(loop.stats().waits, 2U);  // and once when all of them were told
}

CASE(a_poll_looks_although_many_watches_have_gone) {
    loop loop{backend()};
    std::vector<two_ends> pairs;
    std::vector<watch> watches;
    for (int i = 0; i < 400; ++i) {
        pairs.push_back(make_pair());
        watches.push_back(loop.watch(pairs.back().a, event::read, [](event) { FAIL(); }));
    }
    auto [a, b] = make_pair();
    int told = 0;
    const watch stays = loop.watch(a, event::read, [&](event) { ++told; });
    (void)loop.run_once(0s);
    watches.clear();
    put(b);
    (void)loop.run_once(0s);
    (void)loop.run_once(0s);
    EXPECT_GE(told, 1);
}

/// Whatever has always something to do: a watch that is never read, a post that posts, a deferred that defers,
/// a timer that is always due. Beside them hundreds who want to be told once.
CASE(nobody_who_always_has_something_to_do_keeps_the_others_waiting) {
    constexpr std::size_t others = 400;
    loop loop{backend()};
    auto [a, b] = make_pair();
    put(b);
    const watch flooded = loop.watch(a, event::read, [](event) {});
    struct again {
        selectors::loop* on;
        bool posts;
        void operator()() {
            if (posts)
                on->post(again{*this});
            else
                on->defer(again{*this});
        }
    };
    loop.post(again{&loop, true});
    loop.defer(again{&loop, false});
    timer due;
    due = timer{loop, [&] { due.at(clock::time_point{}); }};
    due.at(clock::time_point{});
    std::vector<two_ends> pairs;
    std::vector<watch> watches;
    std::vector<timer> timers;
    std::size_t told = 0, fired = 0, ran = 0;
    for (std::size_t i = 0; i < others; ++i) {
        pairs.push_back(make_pair());
        put(pairs.back().b);
        const socket_view mine = pairs.back().a;
        watches.push_back(loop.watch(mine, event::read, [&told, mine](event) {
            take(mine);
            ++told;
        }));
        timers.push_back(loop.after(0s, [&] { ++fired; }));
        loop.post([&] { ++ran; });
        loop.defer([&] { ++ran; });
    }
    // Each turn has time for some hundreds of each.
    for (int turns = 0; turns < 4; ++turns) loop.run_once(1s);
    EXPECT_EQ(told, others);
    EXPECT_EQ(fired, others);
    EXPECT_EQ(ran, 2 * others);
}

CASE(an_observer_may_go_with_its_loop) {
    struct counting : loop_observer {
        void callback_begins(const callback_info&) override { ++begun; }
        void callback_ends(const callback_info&) override { ++ended; }
        void turn_ends(clock::time_point, std::uint64_t) override { ++ended; }
        int begun = 0, ended = 0;
    };
    auto made = std::make_unique<loop>(backend());
    auto seen = std::make_unique<counting>();
    made->observe(seen.get());
    made->defer([&] {
        made.reset();
        EXPECT_EQ(seen->begun, 1);
        seen.reset();
    });
    made->run();
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

CASE(one_turn_lasts_until_somebody_is_called_the_time_is_up_or_it_is_woken) {
    loop loop{backend()};
    auto [a, b] = make_pair();
    put(b);
    // The end of a watch is nobody's callback.
    watch gone = loop.watch(a, event::read, [](event) {});
    EXPECT_EQ(loop.run_once(1s), 1U);
    const timer later = loop.after(5ms, [] {});
    gone = watch{};
    EXPECT_EQ(loop.run_once(1s), 1U);
    EXPECT_GE(time_of([&] { EXPECT_EQ(loop.run_once(2ms), 0U); }), 2ms);
    loop.wake();
    EXPECT_LT(time_of([&] { EXPECT_EQ(loop.run_once(5s), 0U); }), 5s);
    EXPECT_GE(time_of([&] { EXPECT_EQ(loop.run_once(2ms), 0U); }), 2ms);
}

}  // namespace
}  // namespace selectors::testing
