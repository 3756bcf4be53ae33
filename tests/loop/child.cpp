#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

#include "loop/started_process.hpp"

// The conformance suite's `child` is a function in a process of its own.
namespace selectors::testing {
namespace {

CASE(a_child_tells_what_it_returned_once) {
    loop loop{backend()};
    started_process process{7};
    std::vector<exit_status> told;
    const selectors::child worker{loop, process.number(),
                                  [&](exit_status how) { told.push_back(how); }};
    EXPECT_TRUE(worker);
    EXPECT_EQ(loop.run_once(5ms), 0U);
    process.let_end();
    while (told.empty()) loop.run_once(5s);
    EXPECT_EQ(told, (std::vector{exit_status{7, 0}}));
    EXPECT_FALSE(worker);
    EXPECT_EQ(loop.run_once(5ms), 0U);
    EXPECT_EQ(told.size(), 1U);
}

CASE(a_child_that_has_ended_already_is_told_of_in_the_next_turn) {
    loop loop{backend()};
    started_process process{3};
    process.let_end();
    process.await_end();
    std::optional<exit_status> told;
    const selectors::child worker{loop, process.number(), [&](exit_status how) { told = how; }};
    EXPECT_FALSE(told);
    while (!told) loop.run_once(5s);
    EXPECT_EQ(told, (exit_status{3, 0}));
}

CASE(a_child_wakes_a_sleeping_loop) {
    loop loop{backend()};
    started_process process{0};
    const selectors::child worker{loop, process.number(), [&](exit_status) { loop.stop(); }};
    std::jthread other{[&] { process.let_end(); }};
    loop.run();
}

CASE(a_child_whose_handle_goes_first_is_not_told_of) {
    loop loop{backend()};
    started_process process{0};
    auto alive = std::make_shared<int>(7);
    selectors::child worker{loop, process.number(), [alive](exit_status) { FAIL(); }};
    selectors::child moved = std::move(worker);
    EXPECT_FALSE(worker);
    process.let_end();
    process.await_end();
    moved = selectors::child{};
    EXPECT_EQ(alive.use_count(), 1);
    EXPECT_EQ(loop.run_once(5ms), 0U);
#if !defined(_WIN32)
    EXPECT_TRUE(process.is_left());
#endif
}

CASE(a_hundred_children_at_once_are_each_told_of) {
    loop loop{backend()};
    std::vector<std::unique_ptr<started_process>> processes;
    std::vector<selectors::child> workers;
    constexpr int many = 100;
    int told = 0;
    for (int i = 0; i < many; ++i) {
        processes.push_back(std::make_unique<started_process>(i));
        workers.emplace_back(loop, processes.back()->number(), [&, i](exit_status how) {
            EXPECT_EQ(how, (exit_status{i, 0}));
            if (++told == many) loop.stop();
        });
    }
    for (auto& each : processes) each->let_end();
    loop.run();
    EXPECT_EQ(told, many);
}

CASE(a_callback_of_a_child_may_destroy_itself_and_the_loop) {
    for (const bool loop_as_well : {false, true}) {
        std::optional<loop> made;
        made.emplace(backend());
        started_process process{0};
        started_process running{0};
        auto alive = std::make_shared<int>(7);
        std::optional<selectors::child> itself;
        const selectors::child other{*made, running.number(), [](exit_status) { FAIL(); }};
        itself.emplace(*made, process.number(), [&, alive](exit_status) {
            itself.reset();
            made->stop();
            if (loop_as_well) made.reset();
            EXPECT_EQ(*alive, 7);
        });
        process.let_end();
        made->run();
        EXPECT_EQ(alive.use_count(), 1);
        EXPECT_EQ(static_cast<bool>(other), !loop_as_well);
        if (!loop_as_well) {
            EXPECT_EQ(made->run_once(1ms), 0U);
        }
    }
}

CASE(a_callback_of_a_child_may_throw) {
    loop loop{backend()};
    started_process process{0};
    const selectors::child worker{loop, process.number(), [](exit_status) { throw 7; }};
    process.let_end();
    EXPECT_THROW(loop.run(), int);
    EXPECT_FALSE(worker);
    EXPECT_EQ(loop.run_once(1ms), 0U);
}

CASE(a_child_is_called_so_to_an_observer) {
    seen_kinds seen;
    loop loop{backend()};
    loop.observe(&seen);
    started_process process{0};
    const selectors::child worker{loop, process.number(), [&](exit_status) { loop.stop(); }};
    process.let_end();
    loop.run();
    EXPECT_EQ(seen.kinds, "child");
}

CASE(a_child_outlives_its_loop_silently) {
    std::optional<loop> made;
    made.emplace(backend());
    started_process process{0};
    const selectors::child worker{*made, process.number(), [](exit_status) { FAIL(); }};
    process.let_end();
    process.await_end();
    made.reset();
    EXPECT_FALSE(worker);
}

CASE(a_number_that_is_no_childs_is_refused) {
    loop loop{backend()};
    const auto watch_number = [&](std::int64_t number) {
        const selectors::child worker{loop, number, [](exit_status) {}};
    };
    EXPECT_THROW(watch_number(0), std::invalid_argument);
    EXPECT_THROW(watch_number(-1), std::invalid_argument);
    EXPECT_THROW(watch_number(std::int64_t{1} << 40), std::system_error);
#if !defined(_WIN32)
    EXPECT_THROW(watch_number(1), std::system_error);
    EXPECT_THROW(watch_number(::getpid()), std::system_error);
#endif
}

#if !defined(_WIN32)

CASE(a_child_tells_what_killed_it) {
    loop loop{backend()};
    for (const int signal : {SIGKILL, SIGTERM}) {
        started_process process{0};
        std::optional<exit_status> told;
        const selectors::child worker{loop, process.number(), [&](exit_status how) { told = how; }};
        process.kill(SIGSTOP);  // which is no end
        EXPECT_EQ(loop.run_once(1ms), 0U);
        process.kill(SIGCONT);
        process.kill(signal);
        while (!told) loop.run_once(5s);
        EXPECT_EQ(told, (exit_status{-1, signal}));
    }
}

CASE(a_child_of_nobody_on_the_loop_is_left_alone) {
    loop loop{backend()};
    started_process mine{1};
    started_process theirs{2};
    const selectors::child worker{loop, mine.number(), [&](exit_status) { loop.stop(); }};
    theirs.let_end();
    theirs.await_end();
    EXPECT_EQ(loop.run_once(5ms), 0U);
    mine.let_end();
    loop.run();
    EXPECT_TRUE(theirs.is_left());
    EXPECT_FALSE(mine.is_left());
}

CASE(a_child_that_somebody_else_waited_for_has_ended_nobody_knows_how) {
    loop loop{backend()};
    started_process process{1};
    std::optional<exit_status> told;
    const selectors::child worker{loop, process.number(), [&](exit_status how) { told = how; }};
    process.let_end();
    EXPECT_EQ(::waitpid(static_cast<pid_t>(process.number()), nullptr, 0), process.number());
    while (!told) loop.run_once(5s);
    EXPECT_EQ(told, exit_status::unknown());
}

CASE(a_child_is_told_of_though_no_descriptor_is_left) {
    loop loop{backend()};
    started_process process{7};
    std::optional<exit_status> told;
    std::optional<selectors::child> worker;
    {
        const native_handle next = duplicate_of(0).descriptor();
        const descriptor_limit none_left{next};
        worker.emplace(loop, process.number(), [&](exit_status how) { told = how; });
    }
    process.let_end();
    while (!told) loop.run_once(5s);
    EXPECT_EQ(told, (exit_status{7, 0}));
}

CASE(a_child_leaves_no_descriptor_behind) {
    loop loop{backend()};
    started_process ended{0};
    started_process running{0};
    const native_handle before = duplicate_of(0).descriptor();
    for (int i = 0; i < 2; ++i) {
        const selectors::child worker{loop, ended.number(), [&](exit_status) { loop.stop(); }};
        const selectors::child other{loop, running.number(), [](exit_status) {}};
        if (i == 0) continue;
        ended.let_end();
        loop.run();
    }
    EXPECT_EQ(duplicate_of(0).descriptor(), before);
    {
        std::optional<selectors::loop> short_lived;
        short_lived.emplace(backend());
        const selectors::child outliving{*short_lived, running.number(), [](exit_status) {}};
        short_lived.reset();
        EXPECT_EQ(duplicate_of(0).descriptor(), before);
    }
}

#endif

}  // namespace
}  // namespace selectors::testing
