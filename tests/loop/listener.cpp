// Listeners: what they hand on, and what they do when they are closed, thrown at or starved. TRAPS 24, 26.
#include <optional>
#include <stdexcept>
#include <vector>

#include "loop/loop_case.hpp"

namespace selectors::testing {
namespace {

socket local_door() {
    return listen(address::loopback(0));
}

std::vector<socket> visitors(const listener& door, int count, std::size_t which = 0) {
    std::vector<socket> all;
    for (int i = 0; i < count; ++i) all.push_back(or_throw(connect(door.local_address(which))));
    return all;
}

/// Turns until it holds, or for ten seconds.
template <class Condition>
bool turns_until(loop& loop, Condition holds) {
    for (const auto end = clock::now() + 10s; !holds() && clock::now() < end;) loop.run_once(10ms);
    return holds();
}

result<std::size_t> read_from(socket_view end) {
    std::array<char, 8> room;
    return end.recv(room);
}

/// Whether the other side has closed, or reset.
bool is_closed(socket_view end) {
    const auto got = read_from(end);
    return got ? *got == 0 : got.error() != errc::would_block && got.error() != errc::in_progress;
}

CASE(a_listener_hands_on_who_connects) {
    loop loop{backend()};
    std::vector<accepted> guests;
    const listener door{loop, local_door(),
                        [&](accepted guest) { guests.push_back(std::move(guest)); }};
    const auto clients = visitors(door, 3);
    ASSERT_TRUE(turns_until(loop, [&] { return guests.size() == 3; }));
    EXPECT_EQ(guests[0].peer, or_throw(clients[0].local_address()));
    EXPECT_EQ(read_from(guests[0].socket).error(), errc::would_block);
    EXPECT_EQ(loop.stats().accepts, 3U);
    EXPECT_EQ(loop.run_once(5ms), 0U);
}

CASE(a_listener_has_several_addresses) {
    loop loop{backend()};
    int came = 0;
    listener door{loop, [&](const accepted&) { ++came; }};
    EXPECT_EQ(door.size(), 0U);
    door.add(local_door());
    door.add(local_door());
    EXPECT_EQ(door.size(), 2U);
    EXPECT_NE(door.local_address(0), door.local_address(1));
    EXPECT_EQ(door.local_address(2).kind(), family::none);
    const auto first = visitors(door, 2, 0);
    const auto second = visitors(door, 2, 1);
    EXPECT_TRUE(turns_until(loop, [&] { return came == 4; }));
}

CASE(a_listener_takes_a_socket_that_blocks) {
    loop loop{backend()};
    socket blocking_one = socket::tcp();
    blocking_one.bind("127.0.0.1", 0);
    blocking_one.listen();
    int came = 0;
    const listener door{loop, std::move(blocking_one), [&](const accepted&) { ++came; }};
    EXPECT_EQ(loop.run_once(1ms), 0U);
    const auto client = visitors(door, 1);
    EXPECT_TRUE(turns_until(loop, [&] { return came == 1; }));
}

CASE(what_does_not_listen_is_refused) {
    loop loop{backend()};
    listener door{loop, [](const accepted&) {}};
    socket idle = socket::tcp();
    idle.bind("127.0.0.1", 0);
    EXPECT_THROW(door.add(std::move(idle)), std::system_error);
    EXPECT_THROW(door.add(socket::udp()), std::system_error);
    EXPECT_THROW(door.add(socket{closed_descriptor()}), std::system_error);
    EXPECT_EQ(door.size(), 0U);
    listener nowhere;
    EXPECT_THROW(nowhere.add(local_door()), std::logic_error);
    EXPECT_EQ(loop.run_once(1ms), 0U);
}

CASE(no_turn_hands_on_more_than_the_budget) {
    loop loop{backend()};
    int came = 0;
    const listener door{loop, local_door(), [&](const accepted&) { ++came; }, {.accept_budget = 4}};
    const auto clients = visitors(door, 18);
    for (int before = 0; came < 18; before = came) {
        loop.run_once(1s);
        EXPECT_LE(came - before, 4);
    }
}

CASE(a_flood_at_the_door_does_not_hold_up_timers) {
    loop loop{backend()};
    int came = 0;
    int beats = 0;
    const listener door{loop, local_door(), [&](const accepted&) { ++came; }, {.accept_budget = 2}};
    const auto clients = visitors(door, 100);
    const timer beat = loop.every(1us, [&] { ++beats; });
    ASSERT_TRUE(turns_until(loop, [&] { return came == 100; }));
    EXPECT_GE(beats, 40);
}

CASE(what_a_listeners_callback_throws_costs_one_connection) {
    loop loop{backend()};
    int came = 0;
    const listener door{loop, local_door(), [&](const accepted&) {
                            if (++came % 2 == 1) throw std::runtime_error("odd");
                        }};
    const auto clients = visitors(door, 9);
    int thrown = 0;
    turns_until(loop, [&] {
        for (;;) try {
                while (loop.run_once(10ms) > 0) {
                }
                return came == 9;
            } catch (const std::runtime_error&) {
                ++thrown;
            }
    });
    EXPECT_EQ(came, 9);
    EXPECT_EQ(thrown, 5);
}

CASE(a_listener_may_destroy_itself) {
    loop loop{backend()};
    std::optional<listener> itself;
    auto alive = std::make_shared<int>(7);
    itself.emplace(loop, local_door(), [&, alive](const accepted&) {
        itself.reset();
        EXPECT_EQ(*alive, 7);
    });
    const auto clients = visitors(*itself, 3);
    ASSERT_TRUE(turns_until(loop, [&] { return !itself; }));
    loop.run_once(1ms);
    EXPECT_EQ(alive.use_count(), 1);
    EXPECT_EQ(loop.stats().accepts, 1U);
}

CASE(a_listener_may_destroy_its_loop) {
    std::optional<loop> made;
    made.emplace(backend());
    listener door{*made, local_door(), [&](const accepted&) { made.reset(); }};
    const auto clients = visitors(door, 3);
    made->run();
    EXPECT_FALSE(made);
    EXPECT_EQ(door.size(), 1U);
    EXPECT_THROW(door.add(local_door()), std::logic_error);
    door.pause();
    door.resume();
    door.close();
    EXPECT_EQ(door.size(), 0U);
}

CASE(stop_in_a_listeners_callback_leaves_the_next_connection_to_the_next_run) {
    loop loop{backend()};
    int came = 0;
    const listener door{loop, local_door(), [&](const accepted&) {
                            ++came;
                            loop.stop();
                        }};
    const auto clients = visitors(door, 3);
    for (int expected = 1; expected <= 3; ++expected) {
        loop.run();
        EXPECT_EQ(came, expected);
    }
}

CASE(a_paused_listener_leaves_connections_waiting) {
    loop loop{backend()};
    int came = 0;
    listener door{loop, local_door(), [&](const accepted&) {
                      if (++came == 1) door.pause();
                  }};
    const auto clients = visitors(door, 3);
    ASSERT_TRUE(turns_until(loop, [&] { return came == 1; }));
    EXPECT_TRUE(door.paused());
    loop.run_once(5ms);
    EXPECT_EQ(came, 1);
    door.resume();
    EXPECT_EQ(came, 1) << "it called back from inside resume";
    EXPECT_TRUE(turns_until(loop, [&] { return came == 3; }));
    door.pause();
    door.resume();
    const auto more = visitors(door, 1);
    EXPECT_TRUE(turns_until(loop, [&] { return came == 4; }));
}

CASE(a_listener_that_finishes_loses_nobody_who_had_connected) {
    loop loop{backend()};
    int came = 0;
    listener door{loop, local_door(), [&](const accepted&) { ++came; }, {.accept_budget = 3}};
    const address where = door.local_address();
    loop.run_once(0s);
    const auto clients = visitors(door, 10);
    door.pause();  // finishing ends it
    door.finish();
    EXPECT_TRUE(turns_until(loop, [&] { return door.size() == 0; }));
    EXPECT_EQ(came, 10);
    EXPECT_NO_THROW(listen(where));
}

CASE(a_listener_that_finishes_beside_siblings_lets_nobody_in_any_more) {
    NEEDS(shared_ports);
    if (backend_is("kqueue"))
        NOT_EXPRESSIBLE("only Linux makes a listening socket deaf before it closes");
    loop loop{backend()};
    listener door{
        loop, listen(address::loopback(0), shared_port), [](const accepted&) {}, {.siblings = true}};
    const auto heard = visitors(door, 1);
    EXPECT_TRUE(turns_until(loop, [&] { return loop.stats().accepts == 1; }));
    door.finish();
    const socket late = or_throw(connect(door.local_address()));
    selector bag;
    bag.add(late, event::write);
    EXPECT_TRUE(bag.select(10ms).empty());
    EXPECT_TRUE(turns_until(loop, [&] { return door.size() == 0; }));
    EXPECT_EQ(loop.stats().accepts, 1U);
}

CASE(a_closed_listener_frees_its_address_at_once) {
    loop loop{backend()};
    std::optional<address> where;
    listener door{loop, local_door(), [&](const accepted&) {
                      door.close();
                      EXPECT_NO_THROW(listen(*where));
                  }};
    where = door.local_address();
    const auto clients = visitors(door, 2);
    ASSERT_TRUE(turns_until(loop, [&] { return door.size() == 0; }));
    EXPECT_EQ(loop.stats().accepts, 1U);
    door.add(local_door());
    EXPECT_EQ(door.size(), 1U);
}

CASE(an_address_that_fails_is_closed_and_told) {
    loop loop{backend()};
    int came = 0;
    std::vector<std::error_code> told;
    socket broken = local_door();
    const native_handle number = broken.descriptor();
    listener door{loop, std::move(broken), [&](const accepted&) { ++came; }};
    door.add(local_door());
    loop.run_once(0s);
    socket{number}.close();  // somebody else's mistake
    door.pause();
    door.resume();  // or epoll, of which it has vanished, would never say so
    EXPECT_THROW(while (true) loop.run_once(1s), std::system_error);
    EXPECT_EQ(door.size(), 1U);
    const auto clients = visitors(door, 1);
    EXPECT_TRUE(turns_until(loop, [&] { return came == 1; }));

    socket another = local_door();
    const socket_view view = another;
    door.on_error([&](std::error_code why) { told.push_back(why); });
    door.add(std::move(another));
    loop.run_once(0s);
    socket{view.descriptor()}.close();
    door.pause();
    door.resume();
    EXPECT_TRUE(turns_until(loop, [&] { return told.size() == 1; }));
    EXPECT_EQ(told.at(0), errc::bad_descriptor);
    EXPECT_EQ(door.size(), 1U);
}

CASE(without_descriptors_a_listener_pauses_and_goes_on_when_one_is_closed) {
    NEEDS(descriptor_limits);
    loop loop{backend()};
    std::vector<accepted> guests;
    const listener door{loop,
                        local_door(),
                        [&](accepted guest) { guests.push_back(std::move(guest)); },
                        {.first_pause = 1h, .longest_pause = 1h}};
    socket spared = socket::tcp();
    const auto clients = visitors(door, 3);
    const descriptor_limit limit{closed_descriptor()};
    ASSERT_TRUE(turns_until(loop, [&] { return loop.stats().pauses == 1; }));
    EXPECT_EQ(loop.run_once(5ms), 0U);
    spared.close();
    EXPECT_TRUE(turns_until(loop, [&] { return guests.size() == 1; }));
    loop.run_once(1ms);
    EXPECT_EQ(guests.size(), 1U);
    guests.clear();
    EXPECT_TRUE(turns_until(loop, [&] { return guests.size() == 1; }));
    EXPECT_EQ(loop.stats().sheds, 0U);
}

CASE(without_descriptors_for_long_the_one_who_has_waited_longest_is_told) {
    NEEDS(descriptor_limits);
    loop loop{backend()};
    int came = 0;
    const listener door{loop,
                        local_door(),
                        [&](const accepted&) { ++came; },
                        {.first_pause = 5ms, .longest_pause = 10ms, .patience = 50ms}};
    const auto clients = visitors(door, 5);
    {
        const descriptor_limit limit{closed_descriptor()};
        const auto start = clock::now();
        ASSERT_TRUE(turns_until(loop, [&] { return loop.stats().sheds >= 2; }));
        EXPECT_GE(clock::now() - start, 50ms);
        EXPECT_TRUE(is_closed(clients[0]));
        EXPECT_TRUE(is_closed(clients[1]));
        EXPECT_FALSE(is_closed(clients[4]));
        EXPECT_EQ(came, 0);
    }
    // One attempt may have failed already, and be told of now.
    EXPECT_TRUE(turns_until(loop, [&] { return loop.stats().accepts + loop.stats().sheds == 5; }));
    EXPECT_GE(came, 2);
    EXPECT_EQ(loop.stats().accepts, static_cast<std::uint64_t>(came));
}

CASE(resets_between_select_and_accept_do_not_stop_a_listener) {
    loop loop{backend()};
    std::uint64_t came = 0;
    const listener door{loop, local_door(), [&](const accepted&) { ++came; }};
    for (int round = 0; round < 20; ++round) {
        loop.run_once(0s);
        auto clients = visitors(door, 20);
        for (socket& each : clients) {
            each.set_linger(std::chrono::seconds{0});
            each.close();
        }
    }
    ASSERT_TRUE(turns_until(loop, [&] { return loop.run_once(5ms) == 0; }));
    const auto before = came;
    const auto client = visitors(door, 1);
    EXPECT_TRUE(turns_until(loop, [&] { return came > before; }));
}

}  // namespace
}  // namespace selectors::testing
