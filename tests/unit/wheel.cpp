// The wheel, held against std::multimap, which keeps equal keys in the order of their coming.
#include "loop/wheel.hpp"

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <initializer_list>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace selectors::detail {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;
using time_point = wheel::time_point;

static_assert(sizeof(timer_node) == 32);

constexpr time_point start{1'234'567'890'123'456'789ns};
constexpr time_point never = time_point::max();

bool armed(const timer_node& node) {
    return node.has(timer_node::armed);
}

/// What is due, in its order.
std::vector<timer_node*> all_due(wheel& timers, time_point now) {
    std::vector<timer_node*> taken;
    while (timer_node* node = timers.due(now)) taken.push_back(node);
    return taken;
}

std::vector<timer_node*> addresses(std::deque<timer_node>& nodes) {
    std::vector<timer_node*> made;
    for (timer_node& node : nodes) made.push_back(&node);
    return made;
}

/// From 1 ns to beyond 200 years: just before, on and just behind where each level of the wheel begins.
std::vector<nanoseconds> spans() {
    std::vector<nanoseconds> made{1ns, 2ns};
    for (int bit = 2; bit < 62; ++bit)
        for (const std::int64_t near : {-1, 0, 1}) made.emplace_back((std::int64_t{1} << bit) + near);
    return made;
}

TEST(wheel, has_nothing_when_it_is_empty) {
    wheel timers{start};
    EXPECT_TRUE(timers.empty());
    EXPECT_EQ(timers.next(), never);
    EXPECT_EQ(timers.any(), nullptr);
    EXPECT_EQ(timers.due(start), nullptr);
    EXPECT_EQ(timers.due(never), nullptr);
}

TEST(wheel, gives_a_timer_at_its_nanosecond_and_not_before) {
    for (const nanoseconds span : spans()) {
        wheel timers{start};
        timer_node node;
        timers.arm(node, start + span);
        EXPECT_EQ(timers.next(), start + span);
        EXPECT_EQ(timers.due(start + span / 2 - 1ns), nullptr) << span.count();
        EXPECT_EQ(timers.due(start + span - 1ns), nullptr) << span.count();
        EXPECT_TRUE(armed(node));
        EXPECT_EQ(timers.next(), start + span);
        ASSERT_EQ(timers.due(start + span), &node) << span.count();
        EXPECT_FALSE(armed(node));
        EXPECT_EQ(timers.due(never), nullptr);
    }
}

TEST(wheel, takes_the_last_time_there_is) {
    wheel timers{start};
    timer_node last, last_but_one;
    timers.arm(last, never);
    EXPECT_EQ(timers.next(), never);
    timers.arm(last_but_one, never - 1ns);
    EXPECT_EQ(timers.due(start + 1'000h), nullptr);
    EXPECT_EQ(timers.due(never - 2ns), nullptr);
    EXPECT_EQ(timers.due(never - 1ns), &last_but_one);
    EXPECT_EQ(timers.due(never - 1ns), nullptr);
    EXPECT_EQ(timers.due(never), &last);
}

TEST(wheel, gives_the_earliest_first_however_late_it_is_asked) {
    std::deque<timer_node> nodes;
    wheel timers{start};
    const std::vector<nanoseconds> sorted = spans();
    for (std::size_t i = 0; i < sorted.size(); ++i) nodes.emplace_back();
    for (std::size_t i = 0; i < sorted.size(); ++i) {  // 61 is prime to their number
        const std::size_t which = i * 61 % sorted.size();
        timers.arm(nodes[which], start + sorted[which]);
    }
    EXPECT_EQ(timers.next(), start + sorted.front());
    EXPECT_EQ(all_due(timers, never), addresses(nodes));
}

TEST(wheel, gives_equal_deadlines_in_the_order_they_were_armed_from_whatever_level) {
    for (const nanoseconds span : spans()) {
        if (span < 16ns) continue;
        wheel timers{start};
        std::deque<timer_node> nodes;
        timer_node on_the_way[3];
        // Each is armed from nearer, and so into a lower slot, while the cursor goes after it.
        for (const nanoseconds from : {0ns, span / 4, span / 2, span - span / 8, span - 1ns, span}) {
            EXPECT_EQ(timers.due(start + from - 1ns), nullptr);
            for (int i = 0; i < 3; ++i) timers.arm(nodes.emplace_back(), start + span);
            timers.arm(on_the_way[0], start + from);  // makes the cursor enter slots
            EXPECT_EQ(timers.due(start + from), from < span ? &on_the_way[0] : &nodes.front());
            if (from < span) continue;
            nodes.pop_front();
            timers.remove(on_the_way[0]);
        }
        EXPECT_EQ(all_due(timers, start + span), addresses(nodes)) << span.count();
    }
}

TEST(wheel, arms_anew_what_was_taken_or_cancelled) {
    wheel timers{start};
    timer_node node;
    for (time_point now = start; now < start + 1s; now += 999'983ns) {
        timers.arm(node, now + 30s);
        timers.remove(node);
        EXPECT_FALSE(armed(node));
        EXPECT_EQ(timers.next(), never);
        EXPECT_TRUE(timers.empty());
        timers.arm(node, now + 999'983ns);
        ASSERT_EQ(timers.due(now + 999'983ns), &node);
    }
}

TEST(wheel, keeps_the_turn_of_a_node_that_moves) {
    wheel timers{start};
    std::deque<timer_node> nodes(3);
    timer_node moved;
    for (timer_node& node : nodes) timers.arm(node, start + 1h);
    wheel::replace(nodes[1], moved);
    EXPECT_FALSE(armed(nodes[1]));
    EXPECT_TRUE(armed(moved));
    EXPECT_EQ(all_due(timers, start + 1h), (std::vector{&nodes[0], &moved, &nodes[2]}));
    timers.arm(moved, start + 2h);
    wheel::replace(moved, nodes[0]);
    EXPECT_EQ(timers.due(start + 2h), &nodes[0]);
}

TEST(wheel, does_not_keep_a_loop_awake_for_what_was_cancelled) {
    for (const nanoseconds span : std::initializer_list<nanoseconds>{1us, 1ms, 1s, 24h, 24h * 365}) {
        wheel timers{start};
        std::deque<timer_node> early(100), late(100);
        for (int i = 0; i < 100; ++i) {
            timers.arm(early[i], start + span + i * (span / 1000));
            timers.arm(late[i], start + span + span / 3 + i * (span / 1000));
        }
        for (timer_node& node : early) timers.remove(node);
        int wakes = 0;
        for (time_point now; (now = timers.next()) < late[0].deadline;) {
            EXPECT_EQ(timers.due(now), nullptr);
            ASSERT_GT(timers.next(), now) << "a loop would spin";
            ASSERT_LE(timers.next(), late[0].deadline) << "a loop would sleep too long";
            ++wakes;
        }
        EXPECT_LE(wakes, 3);
        EXPECT_EQ(timers.due(late[0].deadline), &late[0]);
        for (timer_node& node : late) timers.remove(node);
    }
}

TEST(wheel, drains_by_any) {
    wheel timers{start};
    std::deque<timer_node> nodes;
    for (const nanoseconds span : spans()) timers.arm(nodes.emplace_back(), start + span);
    for (std::size_t i = 0; i < nodes.size(); i += 3) timers.remove(nodes[i]);
    for (std::size_t i = 1; i < nodes.size(); i += 3) timers.arm(nodes[i], never);
    for (std::size_t left = nodes.size() * 2 / 3; left > 0; --left) {
        ASSERT_NE(timers.any(), nullptr);
        timers.remove(*timers.any());
    }
    EXPECT_EQ(timers.any(), nullptr);
    EXPECT_TRUE(timers.empty());
    for (const timer_node& node : nodes) EXPECT_FALSE(armed(node));
}

// --- stale nodes -----------------------------------------------------------------------------------

TEST(wheel, never_gives_what_was_cancelled) {
    for (const nanoseconds span : spans()) {
        wheel timers{start};
        timer_node alone, first, second;
        timers.arm(alone, start + span);
        timers.remove(alone);
        EXPECT_FALSE(armed(alone));
        EXPECT_TRUE(timers.empty());
        EXPECT_EQ(timers.due(start + span), nullptr);
        timers.arm(first, start + span + span / 2);
        timers.arm(second, start + span + span / 2);
        timers.remove(first);
        EXPECT_EQ(all_due(timers, never), std::vector{&second});
        EXPECT_TRUE(timers.empty());
    }
}

TEST(wheel, gives_what_was_pushed_out_at_its_new_nanosecond) {
    for (const nanoseconds span : spans()) {
        for (const nanoseconds by : {0ns, 1ns, span / 128, span / 2, span}) {
            wheel timers{start};
            timer_node pushed, also_pushed, before, after;
            const time_point due = start + span + by;
            timers.arm(pushed, start + span);
            timers.arm(also_pushed, start + span);
            timers.arm(after, due + 1ns);
            if (by > 1ns) timers.arm(before, due - 1ns);
            EXPECT_TRUE(wheel::push_out(pushed, due));
            timers.arm(also_pushed, due);
            for (int wakes = 0; timers.next() < due - 1ns; ++wakes) {
                ASSERT_LE(wakes, 20);
                ASSERT_EQ(timers.due(timers.next()), nullptr);
            }
            EXPECT_EQ(timers.due(due - 1ns), by > 1ns ? &before : nullptr);
            EXPECT_EQ(timers.due(due - 1ns), nullptr);
            EXPECT_EQ(all_due(timers, due).size(), 2U) << span.count() << " and " << by.count();
            EXPECT_FALSE(armed(pushed) || armed(also_pushed));
            EXPECT_EQ(timers.due(due + 1ns), &after);
        }
    }
}

TEST(wheel, keeps_the_order_of_deadlines_when_the_earliest_is_pushed_behind_others_that_are_due) {
    wheel timers{start};
    timer_node one, two, three;
    timers.arm(one, start + 1s);
    timers.arm(two, start + 20s);
    timers.arm(three, start + 300s);
    timers.arm(one, start + 301s);
    EXPECT_EQ(all_due(timers, start + 1h), (std::vector{&two, &three, &one}));
}

TEST(wheel, arms_what_was_cancelled_for_sooner_and_for_later) {
    for (const nanoseconds span : spans()) {
        wheel timers{start};
        timer_node sooner, later;
        timers.arm(sooner, start + span);
        timers.arm(later, start + span);
        timers.remove(sooner);
        timers.remove(later);
        timers.arm(sooner, start + span / 2);
        timers.arm(later, start + span + span / 2);
        EXPECT_TRUE(armed(sooner) && armed(later));
        EXPECT_EQ(timers.due(start + span / 2), &sooner);
        EXPECT_EQ(timers.due(start + span + span / 2 - 1ns), nullptr);
        EXPECT_EQ(timers.due(start + span + span / 2), &later);
    }
}

TEST(wheel, forgets_and_moves_stale_nodes) {
    wheel timers{start};
    timer_node pushed, moved, other;
    timers.arm(other, start + 1h);
    timers.arm(pushed, start + 1h);
    timers.arm(pushed, start + 2h);
    timers.remove(pushed);
    EXPECT_FALSE(armed(pushed));
    timers.arm(pushed, start + 1h);
    timers.arm(pushed, start + 2h);
    wheel::replace(pushed, moved);
    EXPECT_FALSE(armed(pushed));
    EXPECT_EQ(all_due(timers, start + 3h), (std::vector{&other, &moved}));
}

TEST(wheel, leaves_the_owner_and_its_flag_alone) {
    wheel timers{start};
    timer_node node, moved;
    node.owner = 4096;
    moved.owner = 8192;
    timers.arm(node, start + 1s);
    node.owner |= timer_node::beats;
    wheel::replace(node, moved);
    EXPECT_EQ(node.owner, 4096 | timer_node::beats);
    EXPECT_EQ(timers.due(start + 1s), &moved);
    EXPECT_EQ(moved.owner, 8192U);
}

// One wake each for the slots they lie in: what a loop does with it is spent once a stay, not once a turn.
TEST(wheel, sees_to_a_million_stale_nodes_once) {
    wheel timers{start};
    std::vector<timer_node> nodes(1'000'000);
    std::mt19937_64 random{7};
    for (timer_node& node : nodes)
        timers.arm(node, start + 10s + nanoseconds{random() % 50'000'000'000});
    for (std::size_t i = 0; i < nodes.size(); ++i)
        i % 2 == 0 ? timers.remove(nodes[i]) : timers.arm(nodes[i], nodes[i].deadline + 60s);
    time_point now = start;
    int wakes = 0;
    for (; now < start + 70s; ++wakes) {
        ASSERT_EQ(timers.due(now), nullptr);
        ASSERT_GT(timers.next(), now) << "a loop would spin";
        now = timers.next();
    }
    EXPECT_LT(wakes, 20'000);
    EXPECT_EQ(all_due(timers, start + 1h).size(), nodes.size() / 2);
    EXPECT_TRUE(timers.empty());
}

// --- random steps ----------------------------------------------------------------------------------

std::uint64_t some_seed() {
    const char* asked = std::getenv("SELECTORS_TEST_SEED");
    return asked ? std::strtoull(asked, nullptr, 10) : std::random_device{}();
}

class random_run {
  public:
    explicit random_run(std::uint64_t seed) : random_{seed}, timers_{start} {
        for (std::size_t i = 0; i < most; ++i) nodes_.push_back(std::make_unique<timer>());
    }

    void step() {
        timer& one = *nodes_[below(most)];
        switch (below(15)) {
        case 0: return let_time_pass();
        case 1: return wake_at_next();
        case 2: return move_one();
        case 3:
        case 4: return armed(one) ? remove(one) : arm(one, some_deadline());
        case 5: return check();
        case 6: return remove(one);
        case 7:
        case 8: return arm(one, later(std::max(one.deadline, now_), some_span(40)));
        default: return arm(one, some_deadline());
        }
    }

    /// Everything must come in the end.
    void finish() {
        now_ = never;
        take_all_due();
        EXPECT_TRUE(timers_.empty());
        EXPECT_GT(taken_, 100U);
    }

  private:
    static constexpr std::size_t most = 300;

    struct timer : timer_node {
        std::multimap<time_point, timer*>::iterator place;
        bool pushed_out = false;  ///< comes anywhere among its equals
    };

    std::uint64_t below(std::uint64_t limit) { return random_() % limit; }

    /// Of every order of magnitude alike.
    nanoseconds some_span(int most_bits) {
        return nanoseconds{random_() >> 1 >> (63 - below(static_cast<std::uint64_t>(most_bits) + 1))};
    }

    /// Never later than the end of time.
    static time_point later(time_point from, nanoseconds by) {
        return from > never - by ? never : from + by;
    }

    time_point some_deadline() {
        switch (below(16)) {
        case 0: return never;
        case 1: return never - nanoseconds{below(3)};
        case 2:
        case 3:
        case 4: return now_;
        case 5:
        case 6:
        case 7:  // the same as another's, or right beside it
            if (const timer& other = *nodes_[below(most)]; armed(other))
                return std::min(other.deadline, never - 1ns) + nanoseconds{below(2)};
            return now_;
        case 8: return later(now_, some_span(62));
        default: return later(now_, some_span(42));
        }
    }

    void arm(timer& node, time_point deadline) {
        const bool was_armed = armed(node);
        if (was_armed) model_.erase(node.place);
        node.pushed_out = was_armed && deadline >= node.deadline;
        exact_ = exact_ && !was_armed;
        timers_.arm(node, deadline);
        ASSERT_TRUE(armed(node));
        node.place = model_.emplace(deadline, &node);
    }
    void remove(timer& node) {
        if (armed(node)) {
            model_.erase(node.place);
            exact_ = false;
        }
        timers_.remove(node);
        ASSERT_FALSE(armed(node));
        node.deadline = now_;
    }
    void move_one() {
        auto& from = nodes_[below(most)];
        if (!armed(*from)) return;
        auto to = std::make_unique<timer>();
        wheel::replace(*from, *to);
        ASSERT_FALSE(armed(*from));
        to->pushed_out = from->pushed_out;
        if (armed(*to)) {
            to->place = from->place;
            to->place->second = to.get();
        }
        from = std::move(to);
    }

    void let_time_pass() {
        now_ = later(now_, some_span(below(200) == 0 ? 57 : 36));
        take_all_due();
    }

    /// As a loop does: never too late, and not twice for nothing at the same time.
    void wake_at_next() {
        if (model_.empty() || timers_.next() > start + 100h * 24 * 365) return;
        now_ = std::max(now_, timers_.next());
        take_all_due();
    }

    void take_all_due() {
        while (!model_.empty() && model_.begin()->first <= now_) {
            auto* taken = static_cast<timer*>(timers_.due(now_));
            ASSERT_NE(taken, nullptr);
            ASSERT_FALSE(armed(*taken));
            ASSERT_EQ(taken->deadline, taken->place->first);
            ASSERT_EQ(taken->deadline, model_.begin()->first);
            for (auto before = model_.begin(); before != taken->place; ++before)
                ASSERT_TRUE(taken->pushed_out || before->second->pushed_out);
            model_.erase(taken->place);
            ++taken_;
        }
        ASSERT_EQ(timers_.due(now_), nullptr);
        check();
        if (timers_.empty()) exact_ = true;
        if (now_ < never) {
            ASSERT_GT(timers_.next(), now_);
        }
    }

    void check() {
        ASSERT_TRUE(model_.empty() || !timers_.empty());
        const time_point earliest = model_.empty() ? never : model_.begin()->first;
        ASSERT_LE(timers_.next(), earliest);
        if (exact_) {
            ASSERT_EQ(timers_.next(), earliest);
        }
    }

    std::mt19937_64 random_;
    wheel timers_;
    time_point now_ = start;
    std::vector<std::unique_ptr<timer>> nodes_;
    std::multimap<time_point, timer*> model_;
    bool exact_ = true;  ///< nothing was cancelled or armed anew since it was empty
    std::size_t taken_ = 0;
};

TEST(wheel, agrees_with_a_multimap_through_random_steps) {
    const std::uint64_t seed = some_seed();
    SCOPED_TRACE("SELECTORS_TEST_SEED=" + std::to_string(seed));
    for (std::uint64_t round = 0; round < 30 && !testing::Test::HasFailure(); ++round) {
        random_run run{seed + round};
        for (int step = 0; step < 10'000 && !testing::Test::HasFatalFailure(); ++step) run.step();
        run.finish();
    }
}

TEST(wheel, is_exact_about_the_next_while_nothing_is_cancelled) {
    const std::uint64_t seed = some_seed();
    SCOPED_TRACE("SELECTORS_TEST_SEED=" + std::to_string(seed));
    std::mt19937_64 random{seed};
    wheel timers{start};
    std::deque<timer_node> nodes;
    std::multimap<time_point, timer_node*> model;
    time_point now = start;
    for (int step = 0; step < 20'000; ++step) {
        const time_point deadline = now + nanoseconds{random() >> 1 >> (63 - random() % 45)};
        timers.arm(nodes.emplace_back(), deadline);
        model.emplace(deadline, &nodes.back());
        ASSERT_EQ(timers.next(), model.begin()->first);
        if (random() % 2 == 0) continue;
        now = timers.next();
        ASSERT_EQ(timers.due(now), model.begin()->second);
        model.erase(model.begin());
        ASSERT_EQ(timers.next(), model.empty() ? never : model.begin()->first);
    }
}

}  // namespace
}  // namespace selectors::detail
