// The harness inside one process: plays one workload with one contestant, times it, and says as one line of JSON what it
// cost. `contestants/<name>.cpp` is who; this is how.
//
//   <contestant>           lists its workloads
//   <contestant> ring      N socket pairs in a ring, A tokens going round: CPU time per token passed on
//   <contestant> ctl       N sockets added, widened, removed, with a look after each; and widened and narrowed before a look
//   <contestant> timers    N timers armed, armed anew, pushed out, cancelled, fired
//   <contestant> post      numbers from 1 and 8 other threads; and one at a time into a loop that sleeps
//
// One process plays one round: nothing of the others is in its memory or its caches. Making ready, and a first part of each
// round, are not timed. What is timed is the CPU time of this thread, for a busy machine lengthens the wall clock, not that;
// posts, which are between threads, take wall time and that of all threads.
#include <algorithm>
#include <cstdio>
#include <functional>
#include <latch>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <sys/socket.h>

#include "../harness.hpp"
#include "contestant.hpp"

namespace {

using bench::game;
using bench::place;
using bench::steps;
using bench::the_contestant;
using namespace std::chrono_literals;

/// Figures by name, in nanoseconds unless that says otherwise.
using figures = std::map<std::string, double>;

void print(const figures& all) {
    std::string text;
    for (const auto& [name, figure] : all)
        text += (text.empty() ? "{\"" : ", \"") + name + "\": " + bench::text("%.3f", figure);
    std::printf("%s}\n", text.c_str());
}

// --- ring --------------------------------------------------------------------------------------------------

/// Unix sockets, in pairs; closed when it goes.
class socket_pairs {
  public:
    explicit socket_pairs(std::size_t count) {
        bench::allow_descriptors(static_cast<long>(2 * count));
        ends_.resize(2 * count);
        for (std::size_t i = 0; i < ends_.size(); i += 2)
            if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, &ends_[i]) < 0)
                bench::die("No socket pair.");
    }
    socket_pairs(const socket_pairs&) = delete;
    ~socket_pairs() {
        for (const int each : ends_) ::close(each);
    }
    std::size_t size() const noexcept { return ends_.size() / 2; }
    int one(std::size_t pair) const noexcept { return ends_[2 * pair]; }
    int other(std::size_t pair) const noexcept { return ends_[2 * pair + 1]; }

  private:
    std::vector<int> ends_;
};

figures play_ring(std::size_t pairs, std::size_t active, std::size_t writes, bool all_counts) {
    const socket_pairs sockets{pairs};
    std::vector<place> places;
    for (std::size_t i = 0; i < pairs; ++i)
        places.push_back({sockets.one(i), sockets.other((i + 1) % pairs)});
    const auto ring = the_contestant.make_ring(places);
    const auto round_of = [&](std::size_t count) {
        game game{active, count};
        for (std::size_t token = 0; token < active; ++token) game::put(places[token * pairs / active]);
        return bench::cpu_of([&] { ring->play(game); });
    };
    if (!all_counts) round_of(writes / 4);
    return {{"cpu_ns", round_of(writes) * 1e9 / static_cast<double>(writes)}};
}

// --- ctl ---------------------------------------------------------------------------------------------------

/// Makes them neither readable nor writable.
void silence(const socket_pairs& sockets) {
    const int least = 1;
    const char bytes[4096]{};
    for (std::size_t i = 0; i < sockets.size(); ++i) {
        ::setsockopt(sockets.one(i), SOL_SOCKET, SO_SNDBUF, &least, sizeof least);
        while (::send(sockets.one(i), bytes, sizeof bytes, 0) > 0) {
        }
    }
}

figures play_ctl(std::size_t count, std::size_t laps, bool all_counts) {
    const socket_pairs sockets{count};
    silence(sockets);
    std::vector<int> descriptors;
    for (std::size_t i = 0; i < count; ++i) descriptors.push_back(sockets.one(i));
    const auto bag = the_contestant.make_interests(descriptors);
    const auto each = [&](auto verb) {
        for (std::size_t i = 0; i < count; ++i) verb(i);
    };
    const auto add = [&](std::size_t i) { bag->add(i); };
    const auto widen = [&](std::size_t i) { bag->widen(i); };
    const auto narrow = [&](std::size_t i) { bag->narrow(i); };
    const auto remove = [&](std::size_t i) { bag->remove(i); };
    double changes = 0, back = 0;
    const auto lap = [&] {
        changes += bench::cpu_of([&] { each(add), bag->look(); });
        changes += bench::cpu_of([&] { each(widen), bag->look(); });
        each(narrow), bag->look();
        back += bench::cpu_of([&] { each(widen), each(narrow), bag->look(); });
        changes += bench::cpu_of([&] { each(remove), bag->look(); });
    };
    if (!all_counts) lap(), changes = back = 0;
    for (std::size_t i = 0; i < laps; ++i) lap();
    const double once = static_cast<double>(laps * count) / 1e9;
    return {{"change_ns", changes / 3 / once}, {"back_ns", back / 2 / once}};
}

// --- timers ------------------------------------------------------------------------------------------------

/// Deadlines lie anywhere between 10 and 60 seconds, the same for all. Timers are armed in the order in which they lie in
/// memory, as connections are accepted; the rest is done in a random one, as connections speak and close. Armed anew: for
/// another time of those, sooner or later. Pushed out: timers that are soon due, four times, each for 10 to 20 seconds later
/// than before, as the timeout of a connection that speaks now and then. Cancelled: those that are soon due. What either
/// leaves for later is theirs: when the old times have passed, a look at the clock is timed, too. What re-arming leaves is
/// not: where it was for later that is what pushing out leaves. Soon is a tenth of a second.
class timetable {
  public:
    explicit timetable(std::size_t timers)
        : arm{in_order(timers, 10s, 60s)},
          again{shuffled(in_order(timers, 10s, 60s))},
          soon{in_order(timers, 0s, span)},
          cancel{shuffled(soon)} {
        later.push_back(shuffled(pushed_out(soon)));
        while (later.size() < 4) later.push_back(pushed_out(later.back()));
    }

    static constexpr std::chrono::nanoseconds span = 100ms;

  private:
    static std::mt19937_64& random() {
        static std::mt19937_64 numbers{7342};
        return numbers;
    }
    static std::chrono::nanoseconds between(std::chrono::nanoseconds from,
                                            std::chrono::nanoseconds to) {
        return std::chrono::nanoseconds{
            std::uniform_int_distribution<std::int64_t>{from.count(), to.count()}(random())};
    }
    static steps in_order(std::size_t timers, std::chrono::nanoseconds from,
                          std::chrono::nanoseconds to) {
        steps made;
        for (std::uint32_t i = 0; i < timers; ++i) made.push_back({i, between(from, to)});
        return made;
    }
    static steps pushed_out(steps all) {
        for (bench::step& each : all) each.after += between(10s, 20s);
        return all;
    }
    static steps shuffled(steps all) {
        std::shuffle(all.begin(), all.end(), random());
        return all;
    }

  public:
    steps arm, again, soon, cancel;
    std::vector<steps> later;
};

/// `all_counts`: nothing but what repeats, and so without waiting.
figures play_timers(std::size_t count, std::size_t laps, bool all_counts) {
    const timetable all{count};
    const auto timers = the_contestant.make_timers(count);
    figures sum;
    const auto timed = [&](const char* what, auto&& work) {
        sum[what] += bench::cpu_of(work) * 1e9 / static_cast<double>(count * laps);
    };
    const auto pass = [&] {
        if (!all_counts) std::this_thread::sleep_for(all.span + 2ms);  // some count in milliseconds
    };
    const auto look = [&] {
        if (!all_counts && timers->fire() > 0)
            bench::die("A timer fired that was pushed out or cancelled.");
    };
    const auto lap = [&] {
        timers->look_at_the_clock();
        timed("arm_ns", [&] { timers->arm(all.arm); });
        timed("rearm_ns", [&] { timers->arm_anew(all.again); });
        timers->cancel(all.cancel);

        timers->look_at_the_clock();
        timers->arm(all.soon);
        timed("push_out_ns", [&] {
            for (const steps& each : all.later) timers->push_out(each);
        });
        pass();
        timed("push_out_ns", look);
        timers->cancel(all.cancel);

        timers->look_at_the_clock();
        timers->arm(all.soon);
        timed("cancel_ns", [&] { timers->cancel(all.cancel); });
        pass();
        timed("cancel_ns", look);
        if (all_counts) return;

        timers->look_at_the_clock();
        timers->arm(all.soon);
        pass();
        timed("fire_ns", [&] {
            for (std::size_t left = count; left > 0;) left -= timers->fire();
        });
    };
    if (!all_counts) lap(), sum.clear();  // the first pays for page faults
    for (std::size_t i = 0; i < laps; ++i) lap();
    sum["push_out_ns"] /= static_cast<double>(all.later.size());
    return sum;
}

// --- post --------------------------------------------------------------------------------------------------

double process_cpu_seconds() {
    timespec now{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

double nanoseconds_since(bench::inbox::clock::time_point start) {
    return std::chrono::duration<double, std::nano>(bench::inbox::clock::now() - start).count();
}

void check(const bench::inbox& arrived) {
    if (!arrived.each_came_once()) bench::die("A number was lost, or came twice.");
}

/// Each thread posts that many numbers as fast as it can.
void post_from(std::size_t threads, std::size_t each, figures& into) {
    bench::inbox arrived;
    const auto one = the_contestant.make_poster(arrived);
    const auto all = static_cast<double>(threads * each);
    const std::string name = "threads_" + std::to_string(threads);
    for (int round = 0; round < 2; ++round) {  // the second counts
        arrived.expect_numbers_below(threads * each, false);
        std::latch ready{static_cast<std::ptrdiff_t>(threads)}, go{1};
        std::vector<std::jthread> producers;
        for (std::size_t i = 0; i < threads; ++i)
            producers.emplace_back([&, i] {
                ready.count_down();
                go.wait();
                one->post(i * each, each);
            });
        ready.wait();
        const double cpu_before = process_cpu_seconds();
        const auto start = bench::inbox::clock::now();
        go.count_down();
        one->run();
        into[name + "_wall_ns"] = nanoseconds_since(start) / all;
        into[name + "_cpu_ns"] = (process_cpu_seconds() - cpu_before) * 1e9 / all;
        producers.clear();
        check(arrived);
    }
}

/// One number at a time: the next when the one before has arrived and the loop has had time to fall asleep.
void post_singly(std::size_t count, figures& into) {
    bench::inbox arrived;
    const auto one = the_contestant.make_poster(arrived);
    arrived.expect_numbers_below(count, true);
    std::jthread loop{[&] { one->run(); }};
    std::vector<bench::inbox::clock::time_point> posted(count);
    for (std::size_t i = 0; i < count; ++i) {
        while (arrived.taken() < i) std::this_thread::yield();
        const auto asleep = bench::inbox::clock::now() + 50us;
        while (bench::inbox::clock::now() < asleep) {
        }
        posted[i] = bench::inbox::clock::now();
        one->post(i, 1);
    }
    loop.join();
    check(arrived);
    std::vector<double> took;
    for (std::size_t i = 0; i < count; ++i)
        took.push_back(
            std::chrono::duration<double, std::nano>(arrived.arrival(i) - posted[i]).count());
    into["wake_ns"] = bench::median(took);
    into["wake_p99_ns"] = bench::quantile(took, 0.99);
}

/// For who counts instructions: in one thread, so that they repeat.
void post_to_itself(std::size_t count) {
    bench::inbox arrived;
    const auto one = the_contestant.make_poster(arrived);
    arrived.expect_numbers_below(count, false);
    one->post(0, count);
    one->run();
    check(arrived);
}

figures play_post(std::size_t posts, std::size_t single, bool all_counts) {
    figures made;
    if (all_counts) {
        post_to_itself(posts);
        return {{"posts", static_cast<double>(posts)}};
    }
    post_from(1, posts, made);
    post_from(8, posts / 8, made);
    post_singly(single, made);
    return made;
}

// --- choosing ----------------------------------------------------------------------------------------------

int measured(int count, char** values) {
    const std::map<std::string, bool> offered{{"ring", the_contestant.make_ring},
                                              {"ctl", the_contestant.make_interests},
                                              {"timers", the_contestant.make_timers},
                                              {"post", the_contestant.make_poster}};
    const std::string what = count > 1 ? values[1] : "";
    if (what.empty()) {
        for (const auto& [name, there] : offered)
            if (there) std::puts(name.c_str());
        return 0;
    }
    const bool asked = what.starts_with("-");
    bench::options given{
        asked ? count : count - 1, asked ? values : values + 1,
        "Plays ring, ctl, timers or post and prints what it cost, as JSON; without any, lists\n"
        "what this contestant has."};
    const auto size = [&](const char* name, long preset, const char* meaning) {
        return static_cast<std::size_t>(given.number(name, preset, meaning));
    };
    const std::size_t many = size("--count", 1000, "pairs, sockets, timers, posts");
    const std::size_t active = size("--active", 100, "ring: tokens");
    const std::size_t laps = size("--laps", 3, "ctl, timers: times all of it");
    const std::size_t writes = size("--writes", 20'000, "ring: writes, all tokens together");
    const std::size_t single = size("--single", 500, "post: one at a time");
    const bool all_counts = given.flag("--counted", "nothing but what is counted: for callgrind");
    given.finish();
    const auto found = offered.find(what);
    if (found == offered.end())
        bench::die("There is no workload " + what + "; ring, ctl, timers, post are.");
    if (!found->second) bench::die("This contestant has nothing for " + what + '.');
    if (what == "ring") print(play_ring(many, std::min(active, many), writes, all_counts));
    if (what == "ctl") print(play_ctl(many, laps, all_counts));
    if (what == "timers") print(play_timers(many, laps, all_counts));
    if (what == "post") print(play_post(many, single, all_counts));
    return 0;
}

}  // namespace

int main(int count, char** values) {
    return bench::explaining([&] { return measured(count, values); });
}
