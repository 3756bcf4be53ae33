// modify is recorded, and applied with at most one call a descriptor a select.
#include <vector>

#include "conformance.hpp"

namespace selectors::testing {
CASE(modify_costs_no_call_before_the_next_select) {
    auto bag = make_counted_bag();
    auto [a, b] = make_pair();
    bag.add(a, event::read);
    const int before = counted().changes();
    bag.modify(a, event::write);
    EXPECT_EQ(counted().changes(), before);
    EXPECT_EQ(bag.interest(a), event::write);
    EXPECT_EQ(reported(bag.select(1s)), (events_by_descriptor{{a.descriptor(), event::write}}));
    EXPECT_EQ(counted().changes(), before + 1);
    (void)bag.select(0s);
    EXPECT_EQ(counted().changes(), before + 1);
}

CASE(many_modifies_are_one_call) {
    auto bag = make_counted_bag();
    auto [a, b] = make_pair();
    bag.add(a, event::read);
    const int before = counted().changes();
    for (const event each : {event::none, both, event::priority, event::none, event::write})
        bag.modify(a, each);
    EXPECT_EQ(reported(bag.select(1s)).at(a.descriptor()), event::write);
    EXPECT_EQ(counted().changes(), before + 1);
}

CASE(what_nets_out_is_no_call) {
    auto bag = make_counted_bag();
    auto [a, b] = make_pair();
    auto [c, d] = make_pair();
    put(b);
    bag.add(a, event::read);
    bag.add(c, event::none);
    const int before = counted().changes();
    bag.modify(a, both);
    bag.modify(a, event::none);
    bag.modify(a, event::read);
    bag.modify(c, both);
    bag.modify(c, event::none);
    EXPECT_EQ(reported(bag.select(1s)).at(a.descriptor()), event::read);
    EXPECT_EQ(counted().changes(), before);
}

CASE(what_is_removed_before_the_select_is_never_changed) {
    auto bag = make_counted_bag();
    auto [a, b] = make_pair();
    bag.add(a, event::read);
    const calls before = counted();
    bag.modify(a, event::write);
    bag.remove(a);
    (void)bag.select(0s);
    EXPECT_EQ(counted().modify, before.modify);
    EXPECT_EQ(counted().remove, before.remove + !bag.backend().forgets_what_is_closed());
}

CASE(a_steady_server_costs_no_changes) {
    auto bag = make_counted_bag();
    auto [a, b] = make_pair();
    bag.add(a, event::read);
    const int before = counted().changes();
    for (int message = 0; message < 100; ++message) {
        put(b);
        for (auto [key, events] : bag.select(1s)) {
            take(key.socket());
            bag.modify(key, both);  // the answer might not go out at once ...
            put(key.socket());
            bag.modify(key, event::read);  // ... but it did
        }
        take(b);
    }
    EXPECT_EQ(counted().changes(), before);
    EXPECT_EQ(counted().wait, 100);
}

CASE(an_interest_taken_back_in_the_batch_is_not_reported) {
    auto bag = make_bag();
    auto [a, b] = make_pair();
    auto [c, d] = make_pair();
    put(b);
    put(d);
    bag.add(a, both);
    bag.add(c, both);
    events_by_descriptor seen;
    for (auto [key, events] : bag.select(1s)) {
        seen.emplace(key.descriptor(), events);
        if (seen.size() == 1) bag.modify(key.descriptor() == a.descriptor() ? c : a, event::write);
    }
    ASSERT_EQ(seen.size(), 2U);
    int reads = 0;
    for (const auto& [descriptor, events] : seen) reads += bool(events & event::read);
    EXPECT_EQ(reads, 1);
}

CASE(a_key_parked_in_the_batch_is_not_reported) {
    auto bag = make_bag();
    auto [a, b] = make_pair();
    auto [c, d] = make_pair();
    b.close();
    d.close();
    bag.add(a, event::read);
    bag.add(c, event::read);
    int seen = 0;
    for (auto [key, events] : bag.select(1s)) {
        ++seen;
        bag.modify(key.descriptor() == a.descriptor() ? c : a, event::none);
    }
    EXPECT_EQ(seen, 1);
}

CASE(thousands_of_changes_at_once_are_applied) {
    auto bag = make_bag();
    std::vector<two_ends> pairs;
    for (int i = 0; i < 2000; ++i) {
        pairs.push_back(make_pair());
        bag.add(pairs.back().a, event::read);
    }
    for (auto& [a, b] : pairs) bag.modify(a, event::write);
    std::map<native_handle, int> seen;
    for (int round = 0; round < 2; ++round)
        for (const auto& [descriptor, events] : reported(bag.select(1s))) {
            EXPECT_EQ(events, event::write);
            ++seen[descriptor];
        }
    EXPECT_EQ(seen.size(), 2000U);
}

CASE(thousands_of_failures_at_once_are_each_reported_once) {
    constexpr std::size_t count = 1500;  // more than a batch holds
    auto bag = make_bag();
    auto [alive, peer] = make_pair();
    put(peer);
    std::vector<two_ends> pairs;
    for (std::size_t i = 0; i < count; ++i) {
        pairs.push_back(make_pair());
        bag.add(pairs.back().a, event::none);
    }
    bag.add(alive, event::read);
    std::vector<native_handle> numbers;
    for (auto& [a, b] : pairs) {
        numbers.push_back(a.descriptor());
        bag.modify(a, event::read);
        a.close();
    }
    std::map<native_handle, int> failed;
    for (int round = 0; round < 4; ++round)
        for (const auto& [descriptor, events] : reported(bag.select(0s)))
            if (events & event::error) ++failed[descriptor];
    EXPECT_EQ(failed.size(), count);
    for (const auto& [descriptor, times] : failed) EXPECT_EQ(times, 1);
    EXPECT_EQ(reported(bag.select(0s)).size(), 1U);
    for (const native_handle number : numbers) bag.remove(number);
}

}  // namespace selectors::testing
