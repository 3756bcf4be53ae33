// What one peer that sends as fast as it can costs the others: the latency of ping-pong peers beside it and
// without it, in turns, and how late the loop's timers are meanwhile. Three processes: the peers, which play
// as fast as they are answered; the flooder; and the loop, whose watches read one buffer a call.
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <selectors/async.hpp>

#include "harness.hpp"

namespace sel = selectors;
using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;

namespace {

constexpr double latency_budget = 2;
constexpr double lag_budget = 10;  // ms

/// What the processes tell each other.
struct blackboard {
    std::atomic<bool> flooding = false;
    std::atomic<int> round = 0;            ///< the loop's: begin to measure anew
    std::atomic<int> measured = 0;         ///< the peers': of which round the figures are
    std::atomic<double> p50 = 0, p99 = 0;  ///< seconds
    std::atomic<long> answers = 0;
};

double milliseconds(clock_type::duration time) {
    return std::chrono::duration<double, std::milli>(time).count();
}

/// Ends with its parent.
template <class Body>
void in_process(Body body) {
    const pid_t parent = ::getpid();
    if (::fork() != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    body();
    ::_exit(0);
}

// --- the peers -----------------------------------------------------------------------------------

void play(const sel::address& server, std::size_t peers, blackboard& board) {
    struct peer {
        sel::socket socket;
        clock_type::time_point asked;
    };
    const int set = ::epoll_create1(0);
    std::vector<peer> all(peers);
    char message[64] = "ping";
    const auto ask = [&](peer& each) {
        each.asked = clock_type::now();
        (void)each.socket.send(message);
    };
    for (peer& each : all) {
        each.socket = sel::socket::tcp();
        sel::or_throw(each.socket.connect(server));
        each.socket.set(sel::option::no_delay, 1);
        epoll_event about{};
        about.events = EPOLLIN;
        about.data.ptr = &each;
        ::epoll_ctl(set, EPOLL_CTL_ADD, each.socket.descriptor(), &about);
    }
    for (peer& each : all) ask(each);
    int round = 0;
    std::vector<double> latencies;
    for (;;) {
        epoll_event ready[256];
        const int count = ::epoll_wait(set, ready, 256, -1);
        for (int i = 0; i < count; ++i) {
            auto& each = *static_cast<peer*>(ready[i].data.ptr);
            const auto got = each.socket.recv(message);
            if (!got || *got == 0) return;
            latencies.push_back(std::chrono::duration<double>(clock_type::now() - each.asked).count());
            ask(each);
        }
        if (const int now = board.round; now != round) {
            board.p50 = bench::median(latencies);
            board.p99 = bench::quantile(latencies, 0.99);
            board.answers = static_cast<long>(latencies.size());
            board.measured = round;
            round = now;
            latencies.clear();
        }
    }
}

void flood(const sel::address& server, const blackboard& board) {
    const sel::socket to = sel::socket::tcp();
    sel::or_throw(to.connect(server));
    const std::vector<char> much(65536, 'f');
    for (;;)
        if (!board.flooding)
            ::usleep(500);
        else if (!to.send(much))
            return;
}

// --- the loop ------------------------------------------------------------------------------------

/// How late timers were, in milliseconds: by the clock, which others delay as well, and by what the loop
/// itself was at meanwhile, its processor time.
struct lateness {
    std::vector<double> clock;
    std::vector<double> work;
    void add(const lateness& more) {
        clock.insert(clock.end(), more.clock.begin(), more.clock.end());
        work.insert(work.end(), more.work.begin(), more.work.end());
    }
};

class server {
  public:
    server(const char* backend, std::size_t expected) : loop_{backend}, expected_{expected} {
        accepting_ = loop_.watch(door_, sel::event::read, [this](sel::event) { accept(); });
    }
    sel::address where() const { return sel::or_throw(door_.local_address()); }

    /// Serves until everybody is there.
    void gather() {
        while (connections_.size() < expected_) loop_.run_once();
    }

    /// Serves that long, with a timer that is due each millisecond.
    lateness serve(clock_type::duration time) {
        lateness lags;
        double worked = bench::cpu_seconds();
        sel::timer beat;
        beat = sel::timer{loop_, [&] {
                              const double work = bench::cpu_seconds();
                              lags.clock.push_back(milliseconds(clock_type::now() - beat_due_));
                              lags.work.push_back(std::max(0.0, 1e3 * (work - worked) - 1));
                              worked = work;
                              beat_due_ = clock_type::now() + 1ms;
                              beat.at(beat_due_);
                          }};
        beat_due_ = clock_type::now() + 1ms;
        beat.at(beat_due_);
        const sel::timer end = loop_.after(time, [&] { loop_.stop(); });
        loop_.run();
        return lags;
    }

  private:
    struct connection {
        sel::socket socket;
        sel::watch reading;
    };

    void accept() {
        auto peer = door_.accept(sel::nonblocking);
        if (!peer) return;
        connections_.push_back(std::make_unique<connection>(std::move(peer->socket)));
        connection& each = *connections_.back();
        each.socket.set(sel::option::no_delay, 1);
        each.reading = loop_.watch(each.socket, sel::event::read, [this, &each](sel::event) {
            const auto got = each.socket.recv(room_);
            if (!got || *got == 0) return each.reading.modify(sel::event::none);
            if (room_[0] != 'f') (void)each.socket.send(sel::const_buffer{room_.data(), *got});
        });
    }

    sel::loop loop_;
    std::size_t expected_;
    sel::socket door_ = sel::listen(sel::address::loopback(0));
    sel::watch accepting_;
    std::vector<std::unique_ptr<connection>> connections_;
    std::vector<char> room_ = std::vector<char>(16384);
    clock_type::time_point beat_due_;
};

int measured(int count, char** values) {
    bench::options given{count, values,
                         "fairness: what one flooding peer costs the others. Decides nothing: times."};
    const auto peers = static_cast<std::size_t>(given.number("--peers", 1000, "that play ping-pong"));
    const long rounds = given.number("--rounds", 9, "with the flooder, and as many without");
    const long length = given.number("--milliseconds", 500, "of a round");
    const std::string backend = given.text("--backend", "epoll", "the mechanism");
    given.finish();
    bench::allow_descriptors(static_cast<long>(peers) + 64);

    void* shared =
        ::mmap(nullptr, sizeof(blackboard), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    blackboard& board = *new (shared) blackboard;
    server serving{backend.c_str(), peers + 1};
    const sel::address where = serving.where();
    in_process([&] { play(where, peers, board); });
    in_process([&] { flood(where, board); });
    serving.gather();

    lateness lags[2];
    double answered[2] = {};
    const auto round = [&](bool flooded) {
        board.flooding = flooded;
        serving.serve(20ms);  // what the round before has left
        const int which = ++board.round;
        lags[flooded].add(serving.serve(std::chrono::milliseconds{length}));
        ++board.round;
        while (board.measured != which) serving.serve(5ms);
        answered[flooded] += static_cast<double>(board.answers);
        return board.p99.load();
    };
    const bench::comparison p99 =
        bench::compare(rounds, [&] { return round(false); }, [&] { return round(true); });

    const std::string who = std::to_string(peers) + " peers, " + backend;
    bench::print_row("p99 latency, ms, " + who, bench::text("%.2f", 1e3 * bench::median(p99.first)),
                     "");
    bench::print_row("p99 latency beside a flooder, ms, " + who,
                     bench::text("%.2f", 1e3 * bench::median(p99.second)), "");
    bench::print_ratio("p99 latency, flooded : not, " + who, p99, latency_budget);
    bench::print_row("answers, flooded : not, " + who, bench::text("%.2f", answered[1] / answered[0]),
                     "");
    for (const bool flooded : {false, true}) {
        const std::string when = std::string{", ms, p99, "} + (flooded ? "flooded, " : "") + who;
        const auto& [clock, work] = lags[flooded];
        const auto spread = [](const std::vector<double>& all) {
            return bench::text("median %.2f", bench::median(all)) +
                   bench::text(", most %.2f", bench::quantile(all, 1));
        };
        bench::print_row("timer lag" + when, bench::text("%.2f", bench::quantile(clock, 0.99)),
                         spread(clock));
        const double late = bench::quantile(work, 0.99);
        bench::print_row("timer lag by our own work" + when, bench::text("%.2f", late), spread(work),
                         bench::text("<= %.0f", lag_budget) + (late <= lag_budget ? " ok" : " OVER"));
    }
    return 0;
}

}  // namespace

int main(int count, char** values) {
    return bench::explaining([&] { return measured(count, values); });
}
