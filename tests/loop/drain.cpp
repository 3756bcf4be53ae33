// Draining: nobody who had connected is lost, everybody is told, and every outcome is counted. TRAPS 34.
#include <optional>
#include <stdexcept>
#include <vector>

#include "loop/loop_case.hpp"

namespace selectors::testing {
namespace {

static_assert(sizeof(void*) != 8 || sizeof(drain::ticket) == 80, "as drain.hpp says");

/// Turns until it holds, or for ten seconds.
template <class Condition>
bool turns_until(loop& loop, Condition holds) {
    for (const auto end = clock::now() + 10s; !holds() && clock::now() < end;) loop.run_once(10ms);
    return holds();
}

CASE(a_drain_of_nothing_is_done_in_the_next_turn) {
    loop loop{backend()};
    drain drain{loop};
    std::optional<drain_result> result;
    EXPECT_FALSE(drain.begun());
    drain.begin({}, 1h, [&](const drain_result& how) { result = how; });
    EXPECT_TRUE(drain.begun());
    EXPECT_FALSE(result);
    EXPECT_EQ(loop.run_once(), 1U);
    ASSERT_TRUE(result);
    EXPECT_TRUE(result->in_time);
    EXPECT_EQ(result->finished + result->cut_off + result->accepted, 0U);
    EXPECT_THROW(drain.begin({}, 1h, {}), std::logic_error);
}

CASE(a_drain_accepts_all_who_had_connected_and_lets_them_finish) {
    struct connection {
        accepted peer;
        drain::ticket in_flight;
        bool asked = false;
    };
    loop loop{backend()};
    drain drain{loop};
    std::vector<std::unique_ptr<connection>> inside;
    listener door{loop, listen(address::loopback(0)), [&](accepted peer) {
                      auto& made = *inside.emplace_back(std::make_unique<connection>(std::move(peer)));
                      made.in_flight = drain.enter([&made](drain_call how) {
                          EXPECT_EQ(how, drain_call::finish);
                          made.asked = true;
                      });
                      EXPECT_FALSE(made.asked) << "it was told from inside enter()";
                  }};
    const address where = door.local_address();
    std::vector<socket> clients;
    for (int i = 0; i < 5; ++i) clients.push_back(or_throw(connect(where)));
    ASSERT_TRUE(turns_until(loop, [&] { return inside.size() == 5; }));
    for (int i = 0; i < 200; ++i) clients.push_back(or_throw(connect(where)));
    std::optional<drain_result> result;
    drain.begin(door, 1h, [&](const drain_result& how) { result = how; });
    EXPECT_TRUE(turns_until(loop, [&] { return inside.size() == 205 && door.size() == 0; }));
    EXPECT_TRUE(turns_until(loop, [&] {
        return std::all_of(inside.begin(), inside.end(), [](auto& each) { return each->asked; });
    }));
    EXPECT_FALSE(result);
    EXPECT_EQ(drain.inside(), 205U);
    inside.clear();
    EXPECT_FALSE(result) << "it was told from inside leave()";
    ASSERT_TRUE(turns_until(loop, [&] { return result.has_value(); }));
    EXPECT_EQ(result->accepted, 200U);
    EXPECT_EQ(result->finished, 205U);
    EXPECT_EQ(result->cut_off, 0U);
    EXPECT_TRUE(result->in_time);
}

CASE(what_is_in_flight_when_the_grace_ends_is_cut_off) {
    loop loop{backend()};
    drain drain{loop};
    std::vector<drain_call> told;
    drain::ticket stubborn = drain.enter([&](drain_call how) { told.push_back(how); });
    drain::ticket quick = drain.enter([&](drain_call) { quick.leave(); });
    std::optional<drain_result> result;
    const auto start = clock::now();
    drain.begin({}, 20ms, [&](const drain_result& how) { result = how; });
    ASSERT_TRUE(turns_until(loop, [&] { return result.has_value(); }));
    EXPECT_GE(clock::now() - start, 20ms);
    EXPECT_GE(result->took, 20ms);
    EXPECT_EQ(told, (std::vector{drain_call::finish, drain_call::cut_off}));
    EXPECT_EQ(result->finished, 1U);
    EXPECT_EQ(result->cut_off, 1U);
    EXPECT_FALSE(result->in_time);
    stubborn.leave();
    EXPECT_EQ(drain.inside(), 0U);
}

CASE(a_grace_may_be_cut_short) {
    loop loop{backend()};
    drain drain{loop};
    std::vector<drain_call> told;
    const drain::ticket stubborn = drain.enter([&](drain_call how) { told.push_back(how); });
    std::optional<drain_result> result;
    drain.cut_off();  // has not begun
    drain.begin({}, 1h, [&](const drain_result& how) { result = how; });
    loop.run_once();
    drain.cut_off();
    drain.cut_off();
    EXPECT_EQ(told.size(), 1U);
    ASSERT_TRUE(turns_until(loop, [&] { return result.has_value(); }));
    EXPECT_EQ(told.size(), 2U);
    EXPECT_EQ(result->cut_off, 1U);
}

CASE(a_ticket_may_move_and_destroy_itself_in_its_callback) {
    loop loop{backend()};
    drain drain{loop};
    int told = 0;
    auto alive = std::make_shared<int>(7);
    drain::ticket first, elsewhere;
    first = drain.enter([&, alive](drain_call how) {
        ++told;
        if (how == drain_call::finish) {
            elsewhere = std::move(first);
        } else {
            elsewhere = {};
            EXPECT_EQ(*alive, 7);
        }
    });
    bool done = false;
    drain.begin({}, 5ms, [&](const drain_result&) { done = true; });
    ASSERT_TRUE(turns_until(loop, [&] { return done; }));
    EXPECT_EQ(told, 2);
    EXPECT_FALSE(first);
    EXPECT_FALSE(elsewhere);
    EXPECT_EQ(alive.use_count(), 1);
}

CASE(a_ticket_may_destroy_the_others_and_the_drain) {
    loop loop{backend()};
    std::optional<drain> made;
    made.emplace(loop);
    std::vector<drain::ticket> tickets;
    int told = 0;
    for (int i = 0; i < 5; ++i)
        tickets.push_back(made->enter([&](drain_call) {
            ++told;
            tickets.pop_back();
            if (told == 2) made.reset();
        }));
    made->begin({}, 1h, [](const drain_result&) { FAIL(); });
    for (int i = 0; i < 3; ++i) loop.run_once(0s);
    EXPECT_EQ(told, 2);
    tickets.clear();
    loop.run_once(0s);
}

CASE(what_is_told_at_the_end_may_destroy_the_drain_and_the_loop) {
    std::optional<loop> made;
    made.emplace(backend());
    std::optional<drain> down;
    down.emplace(*made);
    listener door{*made, listen(address::loopback(0)), [](const accepted&) {}};
    bool done = false;
    drain::ticket late;
    down->begin(door, 1h, [&](const drain_result&) {
        done = true;
        down.reset();
        made.reset();
    });
    made->run();
    EXPECT_TRUE(done);
    EXPECT_EQ(door.size(), 0U);
}

CASE(a_ticket_whose_callback_throws_keeps_nobody_from_being_told) {
    loop loop{backend()};
    drain drain{loop};
    int told = 0;
    std::vector<drain::ticket> tickets;
    for (int i = 0; i < 600; ++i)
        tickets.push_back(drain.enter([&](drain_call) {
            if (++told % 100 == 0) throw std::runtime_error("no");
        }));
    drain.begin({}, 1h, {});
    int thrown = 0;
    for (int i = 0; i < 20; ++i) try {
            loop.run_once(0s);
        } catch (const std::runtime_error&) {
            ++thrown;
        }
    EXPECT_EQ(told, 600);
    EXPECT_EQ(thrown, 6);
}

CASE(a_listener_that_goes_while_it_is_drained_is_done) {
    loop loop{backend()};
    drain drain{loop};
    std::optional<listener> door;
    door.emplace(loop, listen(address::loopback(0)), [](const accepted&) {});
    bool done = false;
    selectors::drain other{loop};
    drain.begin(*door, 1h, [&](const drain_result&) { done = true; });
    EXPECT_THROW(other.begin(*door, 1h, {}), std::logic_error);
    door.reset();
    EXPECT_TRUE(turns_until(loop, [&] { return done; }));
}

CASE(a_loop_that_goes_leaves_its_drain_silent) {
    std::optional<loop> made;
    made.emplace(backend());
    drain drain{*made};
    listener door{*made, listen(address::loopback(0)), [](const accepted&) {}};
    const drain::ticket inside = drain.enter([](drain_call) { FAIL(); });
    drain.begin(door, 1h, [](const drain_result&) { FAIL(); });
    made.reset();
    drain.cut_off();
    EXPECT_EQ(drain.inside(), 1U);
}

}  // namespace
}  // namespace selectors::testing
