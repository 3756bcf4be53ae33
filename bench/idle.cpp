// What idle connections cost: one connection speaks, all the others are silent, and the time of one
// write, select, read is compared between a bag with 10 connections and one with 15,000. The silent ones
// are real TCP connections over the loopback; their other ends live in a child, for a process has not
// descriptors enough for both.
#include <string>
#include <utility>
#include <vector>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <selectors/selectors.hpp>

#include "harness.hpp"

namespace sel = selectors;

namespace {

/// Connects until it has them all, and keeps them until it is killed.
[[noreturn]] void hold_other_ends(const sel::address& server, long count) {
    std::vector<sel::socket> held;
    for (long i = 0; i < count; ++i) {
        held.push_back(sel::socket::tcp());
        if (!held.back().connect(server)) ::_exit(1);
    }
    for (;;) ::pause();
}

/// Accepted connections on which nothing ever arrives.
class silent_connections {
  public:
    explicit silent_connections(long count) {
        sel::socket listener = sel::socket::tcp();
        listener.bind(sel::address::loopback(0));
        listener.listen();
        const sel::address here = sel::or_throw(listener.local_address());
        holder_ = ::fork();
        if (holder_ < 0) bench::die("fork failed.");
        if (holder_ == 0) hold_other_ends(here, count);
        for (long i = 0; i < count; ++i) {
            auto [connection, peer] = sel::or_throw(listener.accept(sel::nonblocking));
            connection.set_linger(std::chrono::seconds{0});  // leaves no TIME_WAIT behind
            sockets_.push_back(std::move(connection));
        }
    }
    silent_connections(const silent_connections&) = delete;
    ~silent_connections() {
        sockets_.clear();
        ::kill(holder_, SIGKILL);
        ::waitpid(holder_, nullptr, 0);
    }
    const sel::socket& operator[](long index) const {
        return sockets_[static_cast<std::size_t>(index)];
    }

  private:
    std::vector<sel::socket> sockets_;
    pid_t holder_;
};

/// A bag with one speaker among silent connections.
class party {
  public:
    party(const std::string& backend, const silent_connections& others, long first, long count)
        : bag_{backend}, speaker_{sel::socket::pair(sel::nonblocking)} {
        for (long i = first; i < first + count; ++i) bag_.add(others[i], sel::event::read);
        bag_.add(speaker_.first, sel::event::read);
    }

    double round(long events) {
        return bench::cpu_of([&] {
            for (long i = 0; i < events; ++i) exchange();
        });
    }

  private:
    void exchange() {
        char byte = 'x';
        if (::write(speaker_.second.descriptor(), &byte, 1) != 1) bench::die("write failed.");
        for (auto [key, events] : bag_.select())
            if (::read(key.descriptor(), &byte, 1) != 1) bench::die("read failed.");
    }

    sel::selector<> bag_;
    std::pair<sel::socket, sel::socket> speaker_;
};

}  // namespace

int main(int count, char** values) {
    bench::options given{count, values, "idle: one connection speaks, the others are silent."};
    const long few = given.number("--few", 10, "connections in the small bag");
    const long many = given.number("--many", 15000, "connections in the large bag");
    const long events = given.number("--events", 4000, "events in a round");
    const long rounds = given.number("--rounds", 31, "rounds of each contestant");
    const std::string backend = given.text("--backend", "epoll", "the mechanism");
    given.finish();

    const long silent = few - 1 + many - 1;
    bench::allow_descriptors(silent + 8);
    try {
        const silent_connections others{silent};
        party small{backend, others, 0, few - 1};
        party large{backend, others, few - 1, many - 1};
        const auto result = bench::compare(
            rounds, [&] { return small.round(events); }, [&] { return large.round(events); });
        bench::print_ratio("1 active, " + backend + ": CPU, among " + std::to_string(many) +
                               " : among " + std::to_string(few),
                           result, backend == "epoll" ? 1.1 : 0);
    } catch (const std::exception& trouble) {
        bench::die(trouble.what());
    }
}
