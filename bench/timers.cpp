// What a timer costs among many: to arm, to arm anew, to push out, to cancel, and to fire, beside libuv,
// libevent, libev and Asio (bench/peers has how each is driven), and the wheel under the loop without loop
// and callbacks.
//
// Deadlines lie anywhere between 10 and 60 seconds, the same for all. Timers are armed in the order in which
// they lie in memory, as connections are accepted; the rest is done in a random one, as connections speak and
// close. Re-arm: for another time of those, sooner or later. Push out: for up to ten seconds later than
// before, as the timeout of a connection that speaks at least every ten seconds. To fire, the cancelled are
// armed within a fifth of a second; once that has passed, the loop is run. That arming, for much sooner than
// where a cancelled timer may still be filed, is printed too: what cancel leaves undone is done there.
// Making the timers is not counted. All take turns, one round each, and what counts is CPU time. Whoever has
// had his share of it sits out the rest.
#include <algorithm>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <selectors/async.hpp>

#include "harness.hpp"
#include "loop/wheel.hpp"
#include "peers/peer.hpp"

namespace sel = selectors;

namespace {

using bench::peer;
using bench::step;
using bench::steps;
using namespace std::chrono_literals;

/// The wheel alone, without callbacks.
class bare_wheel final : public peer {
  public:
    explicit bare_wheel(std::size_t timers) : timers_(timers) {}

    const char* name() const override { return "bare wheel"; }
    void look_at_the_clock() override { wheel_.due(now_ = std::chrono::steady_clock::now()); }
    void arm(const steps& all) override {
        for (const step& each : all) wheel_.arm(timers_[each.timer], now_ + each.after);
    }
    void arm_anew(const steps& all) override { arm(all); }
    void push_out(const steps& all) override { arm(all); }
    void cancel(const steps& all) override {
        for (const step& each : all) wheel_.cancel(timers_[each.timer]);
    }
    std::size_t fire() override {
        std::size_t fired = 0;
        const auto now = std::chrono::steady_clock::now();
        while (wheel_.due(now)) ++fired;
        return fired;
    }

  private:
    std::chrono::steady_clock::time_point now_ = std::chrono::steady_clock::now();
    selectors::detail::wheel wheel_{now_};
    std::vector<selectors::detail::timer_node> timers_;
};

/// The library, as a user has it: a loop and its timers.
class ours final : public peer {
  public:
    explicit ours(std::size_t timers) {
        timers_.reserve(timers);
        for (std::size_t i = 0; i < timers; ++i) timers_.emplace_back(loop_, [this] { ++fired_; });
    }

    const char* name() const override { return "selectors"; }
    void look_at_the_clock() override { loop_.run_once(0s); }
    void arm(const steps& all) override {
        const auto now = loop_.now();
        for (const step& each : all) timers_[each.timer].at(now + each.after);
    }
    void arm_anew(const steps& all) override { arm(all); }
    void push_out(const steps& all) override { arm(all); }
    void cancel(const steps& all) override {
        for (const step& each : all) timers_[each.timer].cancel();
    }
    std::size_t fire() override {
        fired_ = 0;
        loop_.run_once(0s);
        return fired_;
    }

  private:
    sel::loop loop_;
    std::vector<sel::timer> timers_;
    std::size_t fired_ = 0;
};

constexpr std::size_t operations = 6;
struct {
    const char* name;
    double budget;  // times cheaper than the best of the others; 0: none
} const operation[operations] = {{"arm", 3},    {"re-arm", 2},        {"push out", 2},
                                 {"cancel", 3}, {"arm cancelled", 0}, {"fire", 2}};

/// The nanoseconds a timer of every round.
struct figures {
    std::vector<double> of[operations];
};

/// The same for all contestants.
struct plan {
    explicit plan(std::size_t timers)
        : arm{in_order(timers, 10s, 60s)},
          again{shuffled(in_order(timers, 10s, 60s))},
          later{shuffled(pushed_out(again, 10s))},
          cancel{shuffled(again)},
          fire{in_order(timers, 0s, span)} {}

    static constexpr std::chrono::nanoseconds span = 200ms;
    steps arm, again, later, cancel, fire;

  private:
    steps in_order(std::size_t timers, std::chrono::nanoseconds from, std::chrono::nanoseconds to) {
        std::uniform_int_distribution<std::int64_t> after{from.count(), to.count()};
        steps made;
        for (std::uint32_t i = 0; i < timers; ++i)
            made.push_back({i, std::chrono::nanoseconds{after(random_)}});
        return made;
    }
    steps pushed_out(steps all, std::chrono::nanoseconds by) {
        std::uniform_int_distribution<std::int64_t> more{1, by.count()};
        for (step& each : all) each.after += std::chrono::nanoseconds{more(random_)};
        return all;
    }
    steps shuffled(steps all) {
        std::shuffle(all.begin(), all.end(), random_);
        return all;
    }

    std::mt19937_64 random_{7342};
};

/// Returns the CPU seconds it took.
double round_of(peer& one, const plan& all, figures& into) {
    double sum = 0;
    const auto each = [&](std::size_t which, auto&& work) {
        const double seconds = bench::cpu_of(work);
        into.of[which].push_back(seconds * 1e9 / static_cast<double>(all.arm.size()));
        sum += seconds;
    };
    one.look_at_the_clock();
    each(0, [&] { one.arm(all.arm); });
    each(1, [&] { one.arm_anew(all.again); });
    each(2, [&] { one.push_out(all.later); });
    each(3, [&] { one.cancel(all.cancel); });
    one.look_at_the_clock();
    each(4, [&] { one.arm(all.fire); });
    std::this_thread::sleep_for(plan::span + 2ms);  // libuv and libevent count in milliseconds
    each(5, [&] {
        std::size_t left = all.fire.size();
        while (left > 0) left -= one.fire();
    });
    return sum;
}

/// Our rounds beside those of whichever of the others is the best at it.
void print_verdict(const std::string& size, std::size_t which, const figures& ours,
                   const std::vector<std::unique_ptr<peer>>& contestants,
                   const std::vector<figures>& all, std::size_t others) {
    std::size_t best = others;
    for (std::size_t i = others; i < all.size(); ++i)
        if (bench::median(all[i].of[which]) < bench::median(all[best].of[which])) best = i;
    // Ours of the same rounds: who sits out does so to the end.
    std::vector<double> beside = ours.of[which];
    beside.resize(std::min(beside.size(), all[best].of[which].size()));
    const std::vector<double> ratios = bench::comparison{beside, all[best].of[which]}.ratios();
    const double middle = bench::median(ratios);
    bench::print_row(size + " timers, " + operation[which].name + ": CPU, " +
                         contestants[best]->name() + " (the best) : ours",
                     bench::text("%.1f", middle),
                     bench::text("%.1f", bench::quantile(ratios, 0.25)) + " .. " +
                         bench::text("%.1f", bench::quantile(ratios, 0.75)),
                     operation[which].budget == 0
                         ? ""
                         : bench::text(">= %.0f", operation[which].budget) +
                               (middle >= operation[which].budget ? " ok" : " MISSED"));
}

void measure(std::size_t timers, long rounds) {
    std::vector<std::unique_ptr<peer>> contestants;
    contestants.push_back(std::make_unique<ours>(timers));
    contestants.push_back(std::make_unique<bare_wheel>(timers));
    const std::size_t others = contestants.size();
    contestants.push_back(bench::make_libuv(timers));
    contestants.push_back(bench::make_libevent(timers));
    contestants.push_back(bench::make_libev(timers));
    contestants.push_back(bench::make_asio(timers));

    const plan all{timers};
    constexpr double share = 3;  // CPU seconds: a run shall not take for ever because of the slowest
    std::vector<figures> found(contestants.size());
    std::vector<double> had(contestants.size());
    for (long round = -1; round < rounds; ++round) {
        for (std::size_t i = 0; i < contestants.size(); ++i) {
            const std::size_t turn = (i + static_cast<std::size_t>(round + 1)) % contestants.size();
            if (turn >= others && had[turn] > share) continue;
            if (round == 0) found[turn] = {};  // the first paid for page faults
            had[turn] += round_of(*contestants[turn], all, found[turn]);
        }
    }
    const std::string size = std::to_string(timers);
    std::string legend;
    for (const auto& each : operation) legend += (legend.empty() ? "" : " / ") + std::string{each.name};
    bench::print_row(size + " timers, ns to", legend, "");
    for (std::size_t i = 0; i < contestants.size(); ++i) {
        std::string text;
        for (const auto& samples : found[i].of)
            text += (text.empty() ? "" : " / ") + bench::text("%.0f", bench::median(samples));
        bench::print_row(size + " timers, ns: " + contestants[i]->name(), text, "");
    }
    for (std::size_t which = 0; which < operations; ++which)
        print_verdict(size, which, found[0], contestants, found, others);
}

int measured(int count, char** values) {
    bench::options given{count, values,
                         "timers: arm, arm anew, push out, cancel and fire, beside the peers."};
    const long timers = given.number("--timers", 100'000, "how many");
    const long rounds = given.number("--rounds", 7, "rounds of each contestant");
    given.finish();
    measure(static_cast<std::size_t>(timers), rounds);
    // All there is: the loop keeps nothing of a timer, and arming allocates nothing.
    constexpr std::size_t size = sizeof(sel::timer);
    bench::print_row("bytes a timer, with a word of its callback's", std::to_string(size), "",
                     size <= 64 ? "<= 64 ok" : "<= 64 OVER");
    return size <= 64 ? 0 : 1;
}

}  // namespace

int main(int count, char** values) {
    return bench::explaining([&] { return measured(count, values); });
}
