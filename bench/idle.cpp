// What idle connections cost: one connection speaks, all the others are silent, and the time of one
// write, select, read is compared between a bag with 10 connections and one with 15,000. The silent ones
// are real TCP connections over the loopback; their other ends live in a child, for a process has not
// descriptors enough for both.
#include <string>
#include <utility>
#include <vector>

#include <unistd.h>

#include <selectors/selectors.hpp>

#include "harness.hpp"

namespace sel = selectors;

namespace {

/// Connects until it has them all, and keeps them until its parent is gone.
[[noreturn]] void hold_other_ends(const sel::address& server, sel::socket_view parent, long count) {
    std::vector<sel::socket> held;
    for (long i = 0; i < count; ++i) {
        held.push_back(sel::socket::tcp());
        if (!held.back().connect(server)) ::_exit(1);
    }
    char nothing = 0;
    ::_exit(parent.recv({&nothing, 1}) ? 0 : 1);
}

/// Accepted connections on which nothing ever arrives.
class silent_connections {
  public:
    explicit silent_connections(long count) {
        sel::socket listener = sel::socket::tcp();
        listener.bind(sel::address::loopback(0));
        listener.listen();
        start_holder(sel::or_throw(listener.local_address()), count);

        sel::selector<> bag;
        bag.add(listener, sel::event::read);
        bag.add(holder_, sel::event::read);
        while (static_cast<long>(sockets_.size()) < count) {
            for (auto [key, events] : bag.select()) {
                if (key.socket() == holder_) bench::die("The other ends could not be connected.");
                auto [connection, peer] = sel::or_throw(listener.accept(sel::nonblocking));
                connection.set_linger(std::chrono::seconds{0});  // leaves no TIME_WAIT behind
                sockets_.push_back(std::move(connection));
            }
        }
    }
    const sel::socket& operator[](long index) const {
        return sockets_[static_cast<std::size_t>(index)];
    }

  private:
    void start_holder(const sel::address& server, long count) {
        auto [ours, theirs] = sel::socket::pair();
        const pid_t child = ::fork();
        if (child < 0) bench::die("fork failed.");
        if (child == 0) {
            ours.close();
            hold_other_ends(server, theirs, count);
        }
        holder_ = std::move(ours);
    }

    std::vector<sel::socket> sockets_;
    sel::socket holder_;  ///< readable when the child is gone; closed, it ends the child
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

int measured(int count, char** values) {
    bench::options given{count, values, "idle: one connection speaks, the others are silent."};
    const long few = given.number("--few", 10, "connections in the small bag");
    const long many = given.number("--many", 15000, "connections in the large bag");
    const long events = given.number("--events", 4000, "events in a round");
    const long rounds = given.number("--rounds", 31, "rounds of each contestant");
    const std::string backend = given.text("--backend", "epoll", "the mechanism");
    given.finish();

    const long silent = few - 1 + many - 1;
    bench::allow_descriptors(silent + 8);
    const silent_connections others{silent};
    party small{backend, others, 0, few - 1};
    party large{backend, others, few - 1, many - 1};
    const auto result = bench::compare(
        rounds, [&] { return small.round(events); }, [&] { return large.round(events); });
    bench::print_ratio("1 active, " + backend + ": CPU, among " + std::to_string(many) + " : among " +
                           std::to_string(few),
                       result, backend == "epoll" ? 1.1 : 0);
    return 0;
}

}  // namespace

int main(int count, char** values) {
    return bench::explaining([&] { return measured(count, values); });
}
