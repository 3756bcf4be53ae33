// After a fork the child's bag has a kernel set of its own, and the parent's is untouched.
#include "conformance.hpp"

namespace selectors::testing {
// TRAPS 11: h2o#1427.
CASE(a_child_that_removes_leaves_the_parents_bag_alone) {
    NEEDS(forks);
    auto bag = make_bag<int>();
    auto [a, b] = make_pair();
    auto [c, d] = make_pair();
    bag.add(a, event::read, 1);
    bag.add(c, event::read, 2);
    EXPECT_EQ(in_child([&] {
                  bag.remove(a);
                  bag.modify(c, event::none);
                  return bag.select(0s).empty();
              }),
              0);
    put(b);
    put(d);
    EXPECT_EQ(reported(bag.select(1s)).size(), 2U);
}

CASE(a_child_sees_what_the_parent_registered) {
    NEEDS(forks);
    auto bag = make_bag<int>();
    auto [a, b] = make_pair();
    auto [parked, p] = make_pair();
    auto [spent, s] = make_pair();
    put(s);
    put(p);
    bag.add(a, event::read, 1);
    bag.add(parked, event::none, 2);
    bag.add(spent, event::read, 3, trigger::oneshot);
    EXPECT_EQ(reported(bag.select(1s)).size(), 1U);
    put(b);
    EXPECT_EQ(in_child([&] {
                  const auto seen = reported(bag.select(1s));
                  if (seen != events_by_descriptor{{a.descriptor(), event::read}}) return false;
                  bag.modify(parked, event::read);
                  bag.modify(spent, event::read);
                  return reported(bag.select(1s)).size() == 3;
              }),
              0);
    EXPECT_EQ(reported(bag.select(1s)).size(), 1U);
}

CASE(a_child_can_add_and_the_parent_does_not_see_it) {
    NEEDS(forks);
    auto bag = make_bag<int>();
    auto [a, b] = make_pair();
    put(b);
    EXPECT_EQ(in_child([&] {
                  bag.add(a, event::read, 1);
                  return reported(bag.select(1s)).size() == 1;
              }),
              0);
    EXPECT_TRUE(reported(bag.select(0s)).empty());
}

CASE(a_childs_wake_does_not_wake_the_parent) {
    NEEDS(forks);
    auto bag = make_counted_bag();
    EXPECT_EQ(in_child([&] {
                  bag.wake();  // before its bag is its own
                  if (!bag.select().empty()) return false;
                  bag.wake();
                  return bag.select().empty() && time_of([&] { (void)bag.select(5ms); }) >= 5ms;
              }),
              0);
    const int before = counted().wait;
    expect_silence(bag, 10ms);
    EXPECT_EQ(counted().wait - before, 1);
}

CASE(a_child_that_ends_with_its_bag_leaves_the_parents_alone) {
    NEEDS(forks);
    auto bag = std::make_unique<selector<int>>(make_bag<int>());
    auto [a, b] = make_pair();
    bag->add(a, event::read, 1);
    EXPECT_EQ(in_child([&] {
                  bag.reset();
                  return true;
              }),
              0);
    put(b);
    EXPECT_EQ(reported(bag->select(1s)).size(), 1U);
}

CASE(a_child_does_not_hear_of_what_was_parked_before_the_fork) {
    NEEDS(forks);
    auto bag = make_counted_bag();
    auto [a, b] = make_pair();
    auto [read, write] = make_pipe();
    read.close();
    put(b);
    bag.add(a, both);
    bag.add(write, event::write);
    EXPECT_EQ(reported(bag.select(1s)).size(), 2U);
    bag.modify(a, event::none);
    bag.modify(write, event::none);
    EXPECT_EQ(in_child([&] {
                  const int before = counted().wait;
                  return time_of([&] { (void)bag.select(10ms); }) >= 10ms &&
                         counted().wait - before <= 2;
              }),
              0);
}

// A kernel set that a child does not inherit leaves its number free there: whose it is then must live.
CASE(in_a_child_a_bag_closes_no_descriptor_but_its_own) {
    NEEDS(forks);
    for (const bool used : {false, true}) {
        auto bag = std::make_unique<selector<int>>(make_bag<int>());
        auto [a, b] = make_pair();
        put(b);
        bag->add(a, event::read, 1);
        EXPECT_EQ(in_child([&] {
                      const socket files[] = {make_file(), make_file(), make_file()};
                      if (used && reported(bag->select(1s)).size() != 1) return false;
                      bag.reset();
                      for (const socket& each : files)
                          if (size_of(each) != 4) return false;
                      return true;
                  }),
                  0)
            << (used ? "used" : "not used");
    }
}

CASE(a_fork_inside_the_batch_is_survived_by_both) {
    NEEDS(forks);
    auto bag = make_bag<int>();
    auto [a, b] = make_pair();
    auto [c, d] = make_pair();
    put(b);
    put(d);
    bag.add(a, event::read, 1);
    bag.add(c, event::read, 2);
    int seen = 0;
    int status = -1;
    for (auto [key, events] : bag.select(1s)) {
        if (++seen > 1) continue;
        bag.modify(key, event::write);
        status = in_child([&] { return reported(bag.select(1s)).size() == 2; });
    }
    EXPECT_EQ(seen, 2);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(reported(bag.select(1s)).size(), 2U);
}

CASE(grandchildren_have_their_own_too) {
    NEEDS(forks);
    auto bag = make_bag<int>();
    auto [a, b] = make_pair();
    put(b);
    bag.add(a, event::read, 1);
    EXPECT_EQ(in_child([&] {
                  if (reported(bag.select(1s)).size() != 1) return false;
                  if (in_child([&] {
                          bag.remove(a);
                          return true;
                      }) != 0)
                      return false;
                  return reported(bag.select(1s)).size() == 1;
              }),
              0);
    EXPECT_EQ(reported(bag.select(1s)).size(), 1U);
}

}  // namespace selectors::testing
