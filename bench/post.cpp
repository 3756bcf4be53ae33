// What it costs to hand a loop something from another thread, and how long that takes, beside libuv, libev
// and Asio (bench/peers has how each is driven).
//
// Throughput: one thread, then eight, post numbers as fast as they can; each must arrive exactly once, or
// there are no figures. Wall time, and CPU time of the whole process, from the first post to the last callback,
// per post. `loop.post` and asio::post carry a callback, and the number in it. uv_async and ev_async carry nothing and
// coalesce: their users bring a queue of their own, here a mutex and a vector of bare numbers, which the
// loop's thread takes whole. That is cheaper than callbacks, and all it can do is this one thing.
//
// Latency: one post at a time into a loop that has gone to sleep in another thread, from just before the
// post to the first line of what it calls; and once more into one that spins before it sleeps.
//
// All take turns, one round each.
#include <chrono>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <selectors/async.hpp>

#include "harness.hpp"
#include "peers/poster.hpp"

namespace sel = selectors;

namespace {

using bench::inbox;
using bench::poster;
using namespace std::chrono_literals;

class ours final : public poster {
  public:
    ours(inbox& to, std::chrono::nanoseconds spin) : to_{to}, spins_{spin > 0ns} { loop_.spin(spin); }

    const char* name() const override { return spins_ ? "selectors, spin(100us)" : "selectors"; }
    void post(std::size_t first, std::size_t count) override {
        for (std::size_t i = 0; i < count; ++i)
            loop_.post([this, number = first + i] {
                if (to_.take(number)) loop_.stop();
            });
    }
    void run() override { loop_.run(); }

  private:
    inbox& to_;
    bool spins_;
    sel::loop loop_;
};

/// Ours, the peers, and last what only the latency is asked of.
struct contestants {
    inbox arrived;
    std::vector<std::unique_ptr<poster>> all;
    contestants() {
        all.push_back(std::make_unique<ours>(arrived, 0ns));
        all.push_back(bench::make_libuv_poster(arrived));
        all.push_back(bench::make_libev_poster(arrived));
        all.push_back(bench::make_asio_poster(arrived));
        all.push_back(std::make_unique<ours>(arrived, 100us));
    }
    static constexpr std::size_t peers_end = 4;
};

/// One figure of every round; one line of these for each contestant.
using figures = std::vector<double>;

double seconds_since(inbox::clock::time_point start) {
    return std::chrono::duration<double>(inbox::clock::now() - start).count();
}

/// Of all threads.
double process_cpu_seconds() {
    timespec now{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

void check(const poster& one, const inbox& arrived) {
    if (!arrived.each_came_once())
        bench::die(std::string{one.name()} +
                   " lost a post, or ran one twice: there is nothing to compare.");
}

/// Every contestant's rounds, interleaved; the first of each paid for page faults and does not count.
template <class Round>
void take_turns(long rounds, std::size_t contestants, Round&& round_of) {
    for (long round = -1; round < rounds; ++round)
        for (std::size_t i = 0; i < contestants; ++i)
            round_of((i + static_cast<std::size_t>(round + 1)) % contestants, round >= 0);
}

/// Our rounds beside those of whichever of the peers is the best at it.
void print_verdict(const std::string& what, const contestants& of, const std::vector<figures>& found) {
    std::size_t best = 1;
    for (std::size_t i = 1; i < contestants::peers_end; ++i)
        if (bench::median(found[i]) < bench::median(found[best])) best = i;
    bench::print_ratio(what + ", " + of.all[best]->name() + " (the best) : ours",
                       {found[0], found[best]});
}

void measure_throughput(contestants& of, std::size_t threads, std::size_t each, long rounds) {
    std::vector<figures> wall(contestants::peers_end), cpu(contestants::peers_end);
    take_turns(rounds, contestants::peers_end, [&](std::size_t who, bool counts) {
        poster& one = *of.all[who];
        of.arrived.expect_numbers_below(threads * each, false);
        std::latch ready{static_cast<std::ptrdiff_t>(threads)}, go{1};
        std::vector<std::jthread> producers;
        for (std::size_t i = 0; i < threads; ++i)
            producers.emplace_back([&, i] {
                ready.count_down();
                go.wait();
                one.post(i * each, each);
            });
        ready.wait();
        const double cpu_before = process_cpu_seconds();
        const auto start = inbox::clock::now();
        go.count_down();
        one.run();
        const double took = seconds_since(start);
        const double spent = process_cpu_seconds() - cpu_before;
        producers.clear();
        check(one, of.arrived);
        const auto posts = static_cast<double>(threads * each);
        if (counts) wall[who].push_back(took * 1e9 / posts), cpu[who].push_back(spent * 1e9 / posts);
    });
    const std::string size = std::to_string(threads) + " x " + std::to_string(each) + " posts";
    for (std::size_t i = 0; i < contestants::peers_end; ++i)
        bench::print_row(size + ", ns a post, wall / CPU: " + of.all[i]->name(),
                         bench::text("%.0f", bench::median(wall[i])) + " / " +
                             bench::text("%.0f", bench::median(cpu[i])),
                         "");
    print_verdict(size + ", wall", of, wall);
    print_verdict(size + ", CPU", of, cpu);
}

/// Posts numbers, one at a time: the next when the one before has arrived and the loop has had time to fall
/// asleep, but not yet to end a spin of 100 us. Returns when each was posted.
std::vector<inbox::clock::time_point> post_singly(poster& one, const inbox& arrived,
                                                  std::size_t count) {
    std::vector<inbox::clock::time_point> posted(count);
    for (std::size_t i = 0; i < count; ++i) {
        while (arrived.taken() < i) std::this_thread::yield();
        const auto asleep = inbox::clock::now() + 50us;
        while (inbox::clock::now() < asleep) {
        }
        posted[i] = inbox::clock::now();
        one.post(i, 1);
    }
    return posted;
}

void measure_latency(contestants& of, std::size_t posts, long rounds) {
    std::vector<figures> samples(of.all.size()), medians(of.all.size());
    take_turns(rounds, of.all.size(), [&](std::size_t who, bool counts) {
        poster& one = *of.all[who];
        of.arrived.expect_numbers_below(posts, true);
        std::jthread loop{[&] { one.run(); }};
        const auto posted = post_singly(one, of.arrived, posts);
        loop.join();
        check(one, of.arrived);
        figures round;
        for (std::size_t i = 0; i < posts; ++i)
            round.push_back(
                std::chrono::duration<double, std::micro>(of.arrived.arrival(i) - posted[i]).count());
        if (!counts) return;
        medians[who].push_back(bench::median(round));
        samples[who].insert(samples[who].end(), round.begin(), round.end());
    });
    for (std::size_t i = 0; i < of.all.size(); ++i)
        bench::print_row(std::string{"one post, us to arrive, median / p99: "} + of.all[i]->name(),
                         bench::text("%.1f", bench::median(samples[i])) + " / " +
                             bench::text("%.0f", bench::quantile(samples[i], 0.99)),
                         "");
    print_verdict("one post, median", of, medians);
}

int measured(int count, char** values) {
    bench::options given{count, values, "loop.post: its cost and its latency, beside the peers."};
    const auto each =
        static_cast<std::size_t>(given.number("--posts", 1'000'000, "of every producer, in a round"));
    const long rounds = given.number("--rounds", 5, "rounds of each contestant");
    const auto single = static_cast<std::size_t>(
        given.number("--single", 2'000, "posts into a sleeping loop, in a round"));
    given.finish();
    contestants all;
    measure_throughput(all, 1, each, rounds);
    measure_throughput(all, 8, each, rounds);
    measure_latency(all, single, rounds);
    return 0;
}

}  // namespace

int main(int count, char** values) {
    return bench::explaining([&] { return measured(count, values); });
}
