// What it costs to change one's mind: N sockets are put in, changed, and taken out again, by raw
// epoll_ctl (ADD, MOD, DEL) and by the bag (add, modify, remove). Once without a look at what is ready in
// between, where the bag spares the kernel the change that nobody saw; once with one after every
// step, where both tell it everything.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <sys/epoll.h>
#include <unistd.h>

#include <selectors/selectors.hpp>

#include "harness.hpp"

namespace sel = selectors;

namespace {

using sockets = std::vector<sel::socket>;

class raw_set {
  public:
    raw_set() : set_{::epoll_create1(EPOLL_CLOEXEC)} {}
    raw_set(const raw_set&) = delete;
    ~raw_set() { ::close(set_); }

    void add(int descriptor) { control(EPOLL_CTL_ADD, descriptor, EPOLLIN); }
    void modify(int descriptor) { control(EPOLL_CTL_MOD, descriptor, EPOLLIN | EPOLLPRI); }
    void remove(int descriptor) { control(EPOLL_CTL_DEL, descriptor, 0); }
    void look() {
        epoll_event events[64];
        if (::epoll_wait(set_, events, 64, 0) != 0) bench::die("An idle socket was ready.");
    }

  private:
    void control(int operation, int descriptor, std::uint32_t events) {
        epoll_event event{};
        event.events = events;
        event.data.fd = descriptor;
        if (::epoll_ctl(set_, operation, descriptor, &event) < 0) bench::die("epoll_ctl failed.");
    }

    int set_;
};

class bag_set {
  public:
    void add(int descriptor) { bag_.add(descriptor, sel::event::read); }
    void modify(int descriptor) { bag_.modify(descriptor, sel::event::read | sel::event::priority); }
    void remove(int descriptor) { bag_.remove(descriptor); }
    void look() {
        if (!bag_.select(std::chrono::seconds{0}).empty()) bench::die("An idle socket was ready.");
    }

  private:
    sel::selector<> bag_{"epoll"};
};

/// The CPU seconds of `laps` times all three verbs on every socket.
template <class Set>
double round_of(const sockets& idle, bool looking, long laps) {
    const auto set = std::make_unique<Set>();
    const auto each = [&](auto verb) {
        for (const sel::socket& socket : idle) {
            verb(socket.descriptor());
            if (looking) set->look();
        }
    };
    return bench::cpu_of([&] {
        for (long lap = 0; lap < laps; ++lap) {
            each([&](int descriptor) { set->add(descriptor); });
            each([&](int descriptor) { set->modify(descriptor); });
            each([&](int descriptor) { set->remove(descriptor); });
        }
    });
}

int measured(int count, char** values) {
    bench::options given{count, values,
                         "ctl: add, modify and remove N sockets; the bag beside raw epoll_ctl."};
    const long size = given.number("--sockets", 1000, "how many");
    const long laps = given.number("--laps", 5, "times all of them, in one round");
    const long rounds = given.number("--rounds", 21, "rounds of each contestant");
    given.finish();

    bench::allow_descriptors(2 * size);
    sockets idle;
    for (long i = 0; i < size; i += 2) {
        auto [one, other] = sel::socket::pair(sel::nonblocking);
        idle.push_back(std::move(one));
        idle.push_back(std::move(other));
    }
    for (const bool looking : {false, true}) {
        const auto result = bench::compare(
            rounds, [&] { return round_of<raw_set>(idle, looking, laps); },
            [&] { return round_of<bag_set>(idle, looking, laps); });
        bench::print_ratio(std::string{"add, modify, remove"} + (looking ? ", select after each" : "") +
                               ": CPU, bag : raw epoll",
                           result);
    }
    return 0;
}

}  // namespace

int main(int count, char** values) {
    return bench::explaining([&] { return measured(count, values); });
}
