// oneshot, edge, exclusive; and what happens to events that the caller did not reach.
#include <stdexcept>
#include <thread>
#include <vector>

#include "conformance.hpp"

namespace selectors::testing {
// TRAPS 10: polling.
CASE(oneshot_is_reported_exactly_once_until_modified) {
    auto bag = make_counted_bag();
    auto [a, b] = make_pair();
    bag.add(a, event::read, trigger::oneshot);
    EXPECT_TRUE(reported(bag.select(0s)).empty());
    put(b);
    EXPECT_EQ(reported(bag.select(1s)).size(), 1U);
    EXPECT_EQ(bag.interest(a), event::none);
    const int before = counted().wait;
    put(b);
    expect_silence(bag, 20ms);
    hang_up(b);
    expect_silence(bag, 20ms);  // not even for a hang-up
    EXPECT_LE(counted().wait - before, 4);
    bag.modify(a, event::read);
    EXPECT_EQ(reported(bag.select(1s)).at(a.descriptor()), event::read | hung_up);
    EXPECT_TRUE(reported(bag.select(0s)).empty());
}

CASE(oneshot_fires_once_for_both_directions) {
    auto bag = make_bag();
    auto [a, b] = make_pair();
    put(b);
    bag.add(a, both, trigger::oneshot);
    EXPECT_EQ(reported(bag.select(1s)).at(a.descriptor()), both);
    EXPECT_TRUE(reported(bag.select(0s)).empty());
    bag.modify(a, event::write);
    EXPECT_EQ(reported(bag.select(1s)).at(a.descriptor()), event::write);
    EXPECT_TRUE(reported(bag.select(0s)).empty());
}

CASE(oneshot_armed_again_in_its_own_turn_comes_again) {
    auto bag = make_bag();
    auto [a, b] = make_pair();
    put(b);
    bag.add(a, event::read, trigger::oneshot);
    for (int round = 0; round < 3; ++round) {
        int seen = 0;
        for (auto [key, events] : bag.select(1s)) {
            ++seen;
            bag.modify(key, event::read);
        }
        EXPECT_EQ(seen, 1);
    }
    take(a);
    EXPECT_TRUE(reported(bag.select(0s)).empty());
    put(b);
    EXPECT_EQ(reported(bag.select(1s)).size(), 1U);
}

CASE(oneshot_can_be_parked_and_removed_armed_or_spent) {
    auto bag = make_bag<int>();
    auto [a, b] = make_pair();
    auto [c, d] = make_pair();
    put(b);
    put(d);
    bag.add(a, event::read, 1, trigger::oneshot);
    bag.modify(a, event::none);
    EXPECT_TRUE(reported(bag.select(0s)).empty());
    bag.modify(a, event::read);
    bag.add(c, event::none, 2, trigger::oneshot);
    bag.modify(c, event::read);
    EXPECT_EQ(reported(bag.select(1s)).size(), 2U);
    bag.modify(a, event::none);  // spent and parked are the same
    bag.modify(a, event::read);
    EXPECT_EQ(reported(bag.select(1s)).size(), 1U);
    EXPECT_EQ(bag.remove(a), 1);
    EXPECT_EQ(bag.remove(c), 2);
    bag.add(a, event::read, 3);  // level again
    EXPECT_EQ(reported(bag.select(1s)).size(), 1U);
    EXPECT_EQ(reported(bag.select(1s)).size(), 1U);
}

CASE(oneshot_on_a_file_fires_once) {
    NEEDS(files);
    const socket null = open_null_device();
    auto bag = make_bag();
    bag.add(null, both, trigger::oneshot);
    EXPECT_EQ(reported(bag.select()).at(null.descriptor()), both);
    EXPECT_TRUE(reported(bag.select(0s)).empty());
    bag.modify(null, event::read);
    EXPECT_EQ(reported(bag.select()).at(null.descriptor()), event::read);
    EXPECT_TRUE(reported(bag.select(0s)).empty());
}

CASE(a_oneshot_that_was_not_reached_comes_with_the_next_select) {
    auto bag = make_bag();
    std::vector<two_ends> pairs;
    for (int i = 0; i < 5; ++i) {
        pairs.push_back(make_pair());
        put(pairs.back().b);
        bag.add(pairs.back().a, event::read, trigger::oneshot);
    }
    std::size_t seen = 0;
    for (int round = 0; round < 5; ++round)
        for ([[maybe_unused]] auto entry : bag.select(1s)) {
            ++seen;
            break;
        }
    EXPECT_EQ(seen, 5U);
    EXPECT_TRUE(reported(bag.select(0s)).empty());
    for (auto& [a, b] : pairs) EXPECT_EQ(bag.interest(a), event::none);
}

// TRAPS 31: libuv#434.
CASE(an_exception_at_any_key_loses_no_event) {
    constexpr std::size_t count = 6;
    for (std::size_t throwing = 0; throwing < count; ++throwing)
        for (const trigger mode : {trigger::level, trigger::oneshot}) {
            auto bag = make_bag<std::size_t>();
            std::vector<two_ends> pairs;
            for (std::size_t i = 0; i < count; ++i) {
                pairs.push_back(make_pair());
                put(pairs.back().b);
                bag.add(pairs.back().a, event::read, i, mode);
            }
            std::map<std::size_t, int> served;
            try {
                std::size_t position = 0;
                for (auto [key, events] : bag.select(1s)) {
                    ++served[key.data];
                    take(key.socket());
                    if (position++ == throwing) throw std::runtime_error("from a handler");
                }
                FAIL() << "nobody threw";
            } catch (const std::runtime_error&) {
            }
            while (served.size() < count) {
                const auto range = bag.select(1s);
                ASSERT_FALSE(range.empty()) << "lost after a throw at " << throwing;
                for (auto [key, events] : range) {
                    ++served[key.data];
                    take(key.socket());
                }
            }
            for (const auto& [which, times] : served) EXPECT_EQ(times, 1);
        }
}

// TRAPS 13: mio#1963.
CASE(edge_is_reported_once_an_arrival) {
    auto bag = make_bag();
    if (!bag.backend().supports(trigger::edge))
        NOT_EXPRESSIBLE("the mechanism is level-triggered; asking for edge is refused");
    auto [a, b] = make_pair();
    put(b);
    bag.add(a, event::read, trigger::edge);
    EXPECT_EQ(reported(bag.select(1s)).size(), 1U);
    EXPECT_TRUE(reported(bag.select(0s)).empty());
    put(b);
    EXPECT_EQ(reported(bag.select(1s)).size(), 1U);
    EXPECT_TRUE(reported(bag.select(0s)).empty());
}

CASE(edge_re_arms_only_the_direction_that_blocked) {
    auto bag = make_bag();
    if (!bag.backend().supports(trigger::edge))
        NOT_EXPRESSIBLE("the mechanism is level-triggered; asking for edge is refused");
    auto [a, b] = make_tcp_pair();
    bag.add(a, both, trigger::edge);
    EXPECT_EQ(reported(bag.select(1s)).at(a.descriptor()), event::write);
    std::array<char, 16> room;
    EXPECT_EQ(a.recv(room).error(), errc::would_block);
    expect_silence(bag, 20ms);  // write has not blocked, so it is not told again
}

CASE(edges_that_did_not_fit_into_a_batch_move_to_another_thread_with_the_bag) {
    auto bag = make_bag();
    if (!bag.backend().supports(trigger::edge))
        NOT_EXPRESSIBLE("the mechanism is level-triggered; asking for edge is refused");
    constexpr std::size_t pairs = 1500;
    std::vector<two_ends> all;
    for (std::size_t i = 0; i < pairs; ++i) {
        all.push_back(make_pair());
        bag.add(all.back().a, event::read, trigger::edge);
    }
    EXPECT_TRUE(reported(bag.select(0s)).empty());
    for (const two_ends& each : all) put(each.b);
    events_by_descriptor told = reported(bag.select(1s));
    EXPECT_LT(told.size(), pairs);
    const auto rest = [&] {
        while (told.size() < pairs) {
            const events_by_descriptor more = reported(bag.select(1s));
            if (more.empty()) break;
            told.insert(more.begin(), more.end());
        }
        EXPECT_EQ(told.size(), pairs);
        for (const two_ends& each : all) take(each.a);
        expect_silence(bag, 1ms);
    };
    std::jthread{[&] {
        rest();
        for (const two_ends& each : all) put(each.b);
        told.clear();
        rest();
    }}.join();
}

CASE(an_edge_that_was_not_reached_comes_with_the_next_select) {
    auto bag = make_bag();
    if (!bag.backend().supports(trigger::edge))
        NOT_EXPRESSIBLE("the mechanism is level-triggered; asking for edge is refused");
    auto first = make_pair();
    auto second = make_pair();
    put(first.b);
    put(second.b);
    bag.add(first.a, event::read, trigger::edge);
    bag.add(second.a, event::read, trigger::edge);
    int seen = 0;
    for ([[maybe_unused]] auto entry : bag.select(1s)) {
        ++seen;
        break;
    }
    seen += static_cast<int>(reported(bag.select(0s)).size());
    EXPECT_EQ(seen, 2);
    EXPECT_TRUE(reported(bag.select(0s)).empty());
}

CASE(an_edge_or_oneshot_hidden_by_a_change_that_is_taken_back_comes_again) {
    for (const trigger mode : {trigger::oneshot, trigger::edge}) {
        auto bag = make_bag();
        if (mode == trigger::edge && !bag.backend().supports(mode)) continue;
        for (const event meanwhile : {event::none, event::write}) {
            auto first = make_pair();
            auto second = make_pair();
            put(first.b);
            put(second.b);
            const std::vector<char> block(65536);
            for (auto* each : {&first.a, &second.a})
                while (each->send(block)) {
                }
            bag.add(first.a, event::read, mode);
            bag.add(second.a, event::read, mode);
            int seen = 0;
            native_handle hidden = -1;
            for (auto [key, events] : bag.select(1s)) {
                if (++seen > 1) continue;
                hidden = key.descriptor() == first.a.descriptor() ? second.a.descriptor()
                                                                  : first.a.descriptor();
                bag.modify(hidden, meanwhile);
            }
            EXPECT_EQ(seen, 1);
            bag.modify(hidden, event::read);
            EXPECT_EQ(reported(bag.select(0s)), (events_by_descriptor{{hidden, event::read}}))
                << to_string(mode) << " " << to_string(meanwhile);
            EXPECT_TRUE(reported(bag.select(0s)).empty());
            bag.remove(first.a);
            bag.remove(second.a);
        }
    }
}

CASE(exclusive_keeps_nothing_from_the_others_while_its_bag_does_not_wait) {
    auto idle = make_bag();
    if (!idle.backend().supports(trigger::exclusive))
        NOT_EXPRESSIBLE("the mechanism cannot wake one of several; asking for exclusive is refused");
    auto [a, b] = make_pair();
    idle.add(a, event::read, trigger::exclusive);
    auto other = make_bag();
    other.add(a, event::read, trigger::exclusive);
    EXPECT_TRUE(reported(idle.select(0s)).empty());
    EXPECT_TRUE(reported(other.select(0s)).empty());
    put(b);
    EXPECT_EQ(reported(other.select(1s)).size(), 1U);
}

CASE(exclusive_reports_and_can_be_modified) {
    auto bag = make_bag();
    if (!bag.backend().supports(trigger::exclusive))
        NOT_EXPRESSIBLE("the mechanism cannot wake one of several; asking for exclusive is refused");
    auto [a, b] = make_pair();
    bag.add(a, event::read, trigger::exclusive);
    auto other = make_bag();
    other.add(a, event::read, trigger::exclusive);
    put(b);
    EXPECT_EQ(reported(bag.select(1s)).size(), 1U);
    EXPECT_EQ(reported(bag.select(1s)).size(), 1U) << "exclusive is level-triggered";
    bag.modify(a, both);
    EXPECT_EQ(reported(bag.select(1s)).at(a.descriptor()), both);
    bag.modify(a, event::none);
    EXPECT_TRUE(reported(bag.select(0s)).empty());
    bag.modify(a, event::write);
    EXPECT_EQ(reported(bag.select(1s)).at(a.descriptor()), event::write);
}

}  // namespace selectors::testing
