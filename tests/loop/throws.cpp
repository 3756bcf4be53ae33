// The k-th callback throws, for every k: each of the others runs all the same, and exactly once.
#include <map>
#include <string>
#include <vector>

#include "loop/loop_case.hpp"

namespace selectors::testing {
namespace {

struct thrown {};

/// Callbacks of every kind, all of them due at once.
class scenario {
  public:
    scenario(std::string backend, int throws_at) : loop_{backend}, throws_at_{throws_at} {
        for (int i = 0; i < each; ++i) {
            pairs_.push_back(make_pair());
            put(pairs_.back().b);
            const socket_view a = pairs_.back().a;
            watches_.push_back(loop_.watch(a, event::read, [this, i, a](event) {
                take(a);
                runs("watch", i);
            }));
            // Another of the same descriptor, which may be told in vain of what the first has taken.
            others_.push_back(loop_.watch(a, event::read | event::write, [this, i](event) {
                others_[static_cast<std::size_t>(i)] = watch{};
                runs("other watch", i);
            }));
            timers_.push_back(loop_.after(0s, [this, i] { runs("timer", i); }));
            loop_.post([this, i] {
                loop_.defer([this, i] { runs("deferred by a post", i); });
                runs("post", i);
            });
            loop_.defer([this, i] {
                timers_.push_back(loop_.after(0s, [this, i] { runs("timer of a deferred", i); }));
                runs("defer", i);
            });
        }
    }

    /// Goes round until nothing is left to do; how often something was thrown.
    int run_until_quiet() {
        int caught = 0;
        for (int quiet = 0; quiet < 3;) try {
                quiet = loop_.run_once(0s) == 0 ? quiet + 1 : 0;
            } catch (const thrown&) {
                ++caught;
            }
        return caught;
    }
    int count() const { return ran_; }
    bool each_ran_once() const {
        for (const auto& [what, times] : times_) EXPECT_EQ(times, 1) << what;
        return times_.size() == 7 * each;
    }

  private:
    static constexpr int each = 4;

    void runs(const char* what, int which) {
        ++times_[what + (" " + std::to_string(which))];
        if (ran_++ == throws_at_) throw thrown{};
    }

    loop loop_;
    int throws_at_;
    int ran_ = 0;
    std::map<std::string, int> times_;
    std::vector<two_ends> pairs_;
    std::vector<watch> watches_;
    std::vector<watch> others_;
    std::vector<timer> timers_;
};

CASE(whichever_callback_throws_all_the_others_run_exactly_once) {
    int callbacks = 1;
    for (int k = -1; k < callbacks; ++k) {
        scenario all{backend(), k};
        EXPECT_EQ(all.run_until_quiet(), k < 0 ? 0 : 1);
        EXPECT_TRUE(all.each_ran_once()) << "after callback " << k << " threw";
        callbacks = all.count();
        if (HasFailure()) return;
    }
    EXPECT_EQ(callbacks, 28);
}

/// More of each kind than one turn has time for.
CASE(what_a_turn_has_no_time_for_survives_every_throw) {
    constexpr int many = 1'000;
    for (const int every : {1, 2, 127, 128, 129}) {
        loop loop{backend()};
        int ran = 0, caught = 0;
        std::vector<timer> timers;
        const auto run = [&] {
            if (++ran % every == 0) throw thrown{};
        };
        for (int i = 0; i < many; ++i) {
            timers.push_back(loop.after(0s, run));
            loop.post(run);
            loop.defer(run);
        }
        for (int turns = 0; ran < 3 * many && turns < 4 * many; ++turns) try {
                loop.run_once(0s);
            } catch (const thrown&) {
                ++caught;
            }
        EXPECT_EQ(ran, 3 * many);
        EXPECT_EQ(caught, 3 * many / every);
        EXPECT_EQ(loop.run_once(0s), 0U);
    }
}

CASE(what_a_throw_left_is_told_in_the_order_it_was_due) {
    loop loop{backend()};
    std::vector<int> order;
    std::vector<timer> timers;
    const auto start = loop.now();
    for (const int i : {3, 1, 4, 2, 0})
        timers.push_back(loop.at(start + i * 1us, [&order, i] {
            order.push_back(i);
            throw thrown{};
        }));
    for (int i = 5; i < 10; ++i)
        loop.post([&order, i] {
            order.push_back(i);
            throw thrown{};
        });
    while (clock::now() < start + 10us) {
    }
    while (order.size() < 10) EXPECT_THROW(loop.run_once(0s), thrown);
    EXPECT_EQ(order, (std::vector{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

}  // namespace
}  // namespace selectors::testing
