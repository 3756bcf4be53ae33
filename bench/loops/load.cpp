// The load generator: speaks to one echo server of the house over the loopback, and says as one line of JSON what that
// cost the server, from outside, and how long it took.
//
//   load echo    N connections with K messages of B bytes in flight on each; others may be open and silent
//   load churn   N at a time connect, send one message, take it back, close
//   load memory  what N connections that have spoken once add to the server's memory
//
// It never sleeps while it measures. It runs for a time, the first part of which does not count, or (for those who count
// instructions and system calls instead) until a number of messages was answered. Whether the answers are right was looked at
// before (checks.py): here they are counted.
#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../harness.hpp"

namespace {

using nanoseconds = std::uint64_t;

nanoseconds clock_of(clockid_t which) {
    timespec now{};
    if (::clock_gettime(which, &now) < 0) bench::die("The server is gone.");
    return static_cast<nanoseconds>(now.tv_sec) * 1'000'000'000 + static_cast<nanoseconds>(now.tv_nsec);
}
nanoseconds now() {
    return clock_of(CLOCK_MONOTONIC);
}

// --- figures -----------------------------------------------------------------------------------------------

/// How many took how long, to 3 percent.
class histogram {
  public:
    void add(nanoseconds took) noexcept { ++counts_[index_of(took)]; }
    /// Below this lies that part of them. Zero if there are none.
    double quantile(double part) const {
        std::uint64_t all = 0;
        for (const std::uint64_t count : counts_) all += count;
        auto left = static_cast<std::uint64_t>(part * static_cast<double>(all));
        for (std::size_t i = 0; i < counts_.size() && all > 0; ++i) {
            if (left < counts_[i]) return middle_of(i);
            left -= counts_[i];
        }
        return 0;
    }

  private:
    static constexpr unsigned fine = 5;  ///< steps of a power of two: 2^5
    static std::size_t index_of(nanoseconds took) noexcept {
        const auto power = static_cast<unsigned>(std::bit_width(took | (1U << fine))) - 1 - fine;
        return (static_cast<std::size_t>(power) << fine) + (took >> power);
    }
    static double middle_of(std::size_t index) {
        const std::size_t power = index < (2U << fine) ? 0 : (index >> fine) - 1;
        return (static_cast<double>(index - (power << fine)) + 0.5) *
               static_cast<double>(1ULL << power);
    }

    std::array<std::uint64_t, (64 - fine + 1) << fine> counts_{};
};

/// The measured part of a run: begins a while after everybody was answered once (or, where everybody leaves then, as many
/// answers as there are places), ends with the run.
class measurement {
  public:
    measurement(pid_t server, nanoseconds duration, std::uint64_t enough, std::size_t everybody)
        : duration_{duration}, enough_{enough}, waits_for_{enough > 0 ? 0 : everybody} {
        if (::clock_getcpuclockid(server, &server_clock_) != 0) bench::die("There is no such server.");
    }

    /// One message was answered that was sent then; to be asked with the clock of about now. `first`: its sender had not
    /// been answered before.
    void answered(nanoseconds sent, nanoseconds at, bool first) {
        last_ = at;
        ++all_;
        if (first && waits_for_ > 0 && --waits_for_ == 0) begins_ = at + duration_ / 4;
        if (!running_) {
            if (waits_for_ > 0 || at < begins_) return;
            running_ = true;
            from_ = at;
            cpu_from_ = clock_of(server_clock_);
        }
        ++count_;
        latency_.add(at - sent);
    }
    bool over(nanoseconds at) const noexcept {
        if (at > last_ + patience) bench::die("The server does not answer any more.");
        if (enough_ > 0) return all_ >= enough_;
        return waits_for_ == 0 && at >= begins_ + duration_;
    }

    void print(const char* what) const {
        const double cpu = static_cast<double>(clock_of(server_clock_) - cpu_from_);
        const double wall = static_cast<double>(now() - from_);
        const auto count = static_cast<double>(count_);
        if (count_ == 0) bench::die("Nothing was answered.");
        // Linux resets a few of a million connections whose SYN was sent twice and that speak at once.
        if (broken_ * 1000 > count_)
            bench::die("The server broke " + std::to_string(broken_) + " connections.");
        std::printf("{\"%s\": %llu, \"cpu_ns\": %.1f, \"per_second\": %.1f, \"busy\": %.3f, "
                    "\"p50_us\": %.2f, \"p99_us\": %.2f, \"p999_us\": %.2f}\n",
                    what, static_cast<unsigned long long>(count_), cpu / count, count / wall * 1e9,
                    cpu / wall, latency_.quantile(0.5) / 1e3, latency_.quantile(0.99) / 1e3,
                    latency_.quantile(0.999) / 1e3);
    }
    void broken() noexcept { ++broken_; }

  private:
    static constexpr nanoseconds patience = 10'000'000'000;

    nanoseconds duration_, begins_ = 0;
    nanoseconds last_ = now();  ///< that something was answered
    std::uint64_t enough_;
    std::size_t waits_for_;  ///< senders that were not answered yet
    clockid_t server_clock_{};
    bool running_ = false;
    nanoseconds from_ = 0, cpu_from_ = 0;
    std::uint64_t all_ = 0, count_ = 0, broken_ = 0;
    histogram latency_;
};

// --- sockets -----------------------------------------------------------------------------------------------

sockaddr_in address_of(long port) {
    sockaddr_in made{};
    made.sin_family = AF_INET;
    made.sin_port = htons(static_cast<std::uint16_t>(port));
    made.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return made;
}

/// Under way or connected.
int connect_to(const sockaddr_in& server, int flags) {
    const int made = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    if (made < 0) bench::die("No socket for another connection.");
    const int yes = 1;
    ::setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (::connect(made, reinterpret_cast<const sockaddr*>(&server), sizeof server) < 0 &&
        errno != EINPROGRESS)
        bench::die(std::string{"The server cannot be reached: "} + std::strerror(errno) + '.');
    return made;
}

/// Blocks until each of them is connected, which the server need not have accepted.
std::vector<int> connect_all(const sockaddr_in& server, long count) {
    std::vector<int> made;
    for (long i = 0; i < count; ++i) made.push_back(connect_to(server, 0));
    return made;
}

class poll_set {
  public:
    poll_set() : set_{::epoll_create1(EPOLL_CLOEXEC)} {}
    void control(int operation, int descriptor, std::uint32_t events, std::size_t which) const {
        epoll_event event{events, {.u64 = which}};
        if (::epoll_ctl(set_, operation, descriptor, &event) < 0) bench::die("epoll_ctl failed.");
    }
    template <class Handle>
    void spin_once(Handle&& handle) {
        const int count = ::epoll_wait(set_, events_.data(), static_cast<int>(events_.size()), 0);
        for (int i = 0; i < count; ++i) {
            const auto at = static_cast<std::size_t>(i);
            handle(events_[at].data.u64, events_[at].events);
        }
    }

  private:
    int set_;
    std::array<epoll_event, 1024> events_;
};

std::array<char, 1 << 20> room;  ///< what comes back; and what is sent, for its bytes do not matter

// --- echo --------------------------------------------------------------------------------------------------

struct plan {
    sockaddr_in server;
    pid_t pid;
    std::size_t connections, size, in_flight;
    long idle;
    nanoseconds duration;
    std::uint64_t messages;
};

class speaker {
  public:
    speaker(int descriptor, std::size_t which, const plan& of)
        : descriptor_{descriptor}, which_{which}, size_{of.size} {}

    void say(std::size_t messages, poll_set& set) {
        const nanoseconds at = now();
        for (std::size_t i = 0; i < messages; ++i) sent_at_.push_back(at);
        unsent_ += messages * size_;
        send(set);
    }
    void send(poll_set& set) {
        while (unsent_ > 0) {
            const ssize_t sent = ::send(descriptor_, room.data(), std::min(unsent_, room.size()),
                                        MSG_NOSIGNAL | MSG_DONTWAIT);
            if (sent < 0 && errno == EAGAIN) break;
            if (sent < 0) bench::die("The server broke a connection.");
            unsent_ -= static_cast<std::size_t>(sent);
        }
        if (waits_ == (unsent_ > 0)) return;
        waits_ = unsent_ > 0;
        set.control(EPOLL_CTL_MOD, descriptor_, waits_ ? EPOLLIN | EPOLLOUT : EPOLLIN, which_);
    }
    /// How many messages have come back whole.
    std::size_t take(measurement& into) {
        const ssize_t got = ::recv(descriptor_, room.data(), room.size(), MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN) return 0;
        if (got <= 0) bench::die("The server closed a connection.");
        received_ += static_cast<std::size_t>(got);
        const std::size_t whole = received_ / size_;
        received_ %= size_;
        const nanoseconds at = now();
        for (std::size_t i = 0; i < whole; ++i) {
            into.answered(sent_at_.front(), at, !std::exchange(heard_, true));
            sent_at_.pop_front();
        }
        return whole;
    }

  private:
    int descriptor_;
    std::size_t which_, size_;
    std::size_t unsent_ = 0, received_ = 0;
    bool waits_ = false;
    bool heard_ = false;  ///< something of what was answered
    std::deque<nanoseconds> sent_at_;
};

void echo(const plan& of) {
    const std::vector<int> silent = connect_all(of.server, of.idle);
    const std::vector<int> sockets = connect_all(of.server, static_cast<long>(of.connections));
    poll_set set;
    std::vector<speaker> speakers;
    for (std::size_t i = 0; i < sockets.size(); ++i) {
        set.control(EPOLL_CTL_ADD, sockets[i], EPOLLIN, i);
        speakers.emplace_back(sockets[i], i, of);
    }
    for (speaker& each : speakers) each.say(of.in_flight, set);
    measurement taken{of.pid, of.duration, of.messages, of.connections};
    while (!taken.over(now()))
        set.spin_once([&](std::size_t which, std::uint32_t events) {
            speaker& one = speakers[which];
            if (events & EPOLLOUT) one.send(set);
            if (const std::size_t answered = events & EPOLLIN ? one.take(taken) : 0)
                one.say(answered, set);
        });
    taken.print("messages");
}

// --- churn -------------------------------------------------------------------------------------------------

class visitors {
  public:
    explicit visitors(const plan& of)
        : plan_{of}, taken_{of.pid, of.duration, of.messages, of.connections}, all_(of.connections) {
        for (std::size_t i = 0; i < all_.size(); ++i) come(i);
    }
    void run() {
        while (!taken_.over(now()))
            set_.spin_once([&](std::size_t which, std::uint32_t events) { serve(which, events); });
        taken_.print("connections");
    }

  private:
    struct visitor {
        int descriptor;
        nanoseconds came;
        std::size_t received;
    };
    void come(std::size_t which) {
        visitor& one = all_[which];
        one = {-1, now(), 0};
        one.descriptor = connect_to(plan_.server, SOCK_NONBLOCK);
        set_.control(EPOLL_CTL_ADD, one.descriptor, EPOLLOUT, which);
    }
    void serve(std::size_t which, std::uint32_t events) {
        visitor& one = all_[which];
        if (events & EPOLLOUT && !(events & EPOLLERR)) {
            const ssize_t sent = ::send(one.descriptor, room.data(), plan_.size, MSG_NOSIGNAL);
            if (sent == static_cast<ssize_t>(plan_.size))
                return set_.control(EPOLL_CTL_MOD, one.descriptor, EPOLLIN, which);
            return leave(which, false);
        }
        const ssize_t got = ::recv(one.descriptor, room.data(), room.size(), 0);
        if (got < 0 && errno == EAGAIN) return;
        if (got <= 0) return leave(which, false);
        one.received += static_cast<std::size_t>(got);
        if (one.received == plan_.size) leave(which, true);
    }
    void leave(std::size_t which, bool answered) {
        ::close(all_[which].descriptor);
        if (answered)
            taken_.answered(all_[which].came, now(), true);
        else
            taken_.broken();
        come(which);
    }

    const plan& plan_;
    poll_set set_;
    measurement taken_;
    std::vector<visitor> all_;
};

// --- memory ------------------------------------------------------------------------------------------------

/// Of the server's own, in bytes, counted page by page: what /proc/.../status says is late by some hundred kilobytes.
double memory_of(pid_t pid) {
    std::ifstream maps{"/proc/" + std::to_string(pid) + "/smaps_rollup"};
    for (std::string word; maps >> word;)
        if (word == "Anonymous:") {
            double kilobytes = 0;
            maps >> kilobytes;
            return kilobytes * 1024;
        }
    bench::die("The server is gone.");
}

/// One message there and back, blocking.
void exchange(int descriptor, std::size_t size) {
    if (::send(descriptor, room.data(), size, MSG_NOSIGNAL) != static_cast<ssize_t>(size) ||
        ::recv(descriptor, room.data(), size, MSG_WAITALL) != static_cast<ssize_t>(size))
        bench::die("The server did not answer.");
}

void memory(const plan& of) {
    constexpr long first = 16;  // these bring what the server allocates once
    const auto open = [&](long count) {
        std::vector<int> made = connect_all(of.server, count);
        for (const int each : made) exchange(each, of.size);
        return made;
    };
    const auto warm = open(first);
    const double before = memory_of(of.pid);
    const auto all = open(static_cast<long>(of.connections));
    std::printf("{\"connections\": %zu, \"bytes\": %.1f}\n", of.connections,
                (memory_of(of.pid) - before) / static_cast<double>(of.connections));
}

int measured(int count, char** values) {
    const std::string what = count > 1 ? values[1] : "--help";
    const bool asked = what.starts_with("-");
    bench::options given{
        asked ? count : count - 1, asked ? values : values + 1,
        "load echo|churn|memory: speaks to an echo server of the house, prints one line of JSON."};
    const auto size = [&](const char* name, long preset, const char* meaning) {
        return static_cast<std::size_t>(given.number(name, preset, meaning));
    };
    plan of{};
    of.server = address_of(given.number("--port", 7342, "of the server, at 127.0.0.1"));
    of.pid = static_cast<pid_t>(given.number("--pid", 1, "of the server: its CPU time is the figure"));
    of.connections = size("--connections", 50, "that speak");
    of.size = size("--size", 64, "bytes a message");
    of.in_flight = size("--in-flight", 1, "messages on the way on each connection");
    of.idle = std::stol(given.text("--idle", "0", "connections that are open and silent"));
    of.duration =
        size("--milliseconds", 300, "that count; a quarter of it is spent before") * 1'000'000;
    of.messages = static_cast<std::uint64_t>(
        std::stoll(given.text("--messages", "0", "end after so many instead; all of them count")));
    given.finish();
    bench::allow_descriptors(static_cast<long>(of.connections) + of.idle);
    if (what == "echo")
        echo(of);
    else if (what == "churn")
        visitors{of}.run();
    else if (what == "memory")
        memory(of);
    else
        bench::die("load wants echo, churn or memory; --help tells more.");
    return 0;
}

}  // namespace

int main(int count, char** values) {
    return bench::explaining([&] { return measured(count, values); });
}
