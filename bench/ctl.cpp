// What it costs to change one's mind: N sockets are put in, changed, and taken out again, by raw
// epoll_ctl (ADD, MOD, DEL) and by the bag (add, modify, remove). Without a look at what is ready in
// between, where the bag spares the kernel what nobody saw; with one after all N sockets, where what can
// be batched is; with one after every single step, where both tell the kernel everything.
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

    void add(const sel::socket& idle) { control(EPOLL_CTL_ADD, idle.descriptor(), EPOLLIN); }
    void modify(const sel::socket& idle) {
        control(EPOLL_CTL_MOD, idle.descriptor(), EPOLLIN | EPOLLPRI);
    }
    void remove(const sel::socket& idle) { control(EPOLL_CTL_DEL, idle.descriptor(), 0); }
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
    explicit bag_set(const std::string& backend) : bag_{backend} {}
    void add(const sel::socket& idle) { bag_.add(idle, sel::event::read); }
    void modify(const sel::socket& idle) { bag_.modify(idle, sel::event::read | sel::event::priority); }
    void remove(const sel::socket& idle) { bag_.remove(idle); }
    void look() {
        if (!bag_.select(std::chrono::seconds{0}).empty()) bench::die("An idle socket was ready.");
    }

  private:
    sel::selector<> bag_;
};

enum class looks { never, after_all, after_each };

/// The CPU seconds of `laps` times all three verbs on every socket.
template <class Set>
double round_of(Set& set, const sockets& idle, looks looking, long laps) {
    const auto each = [&](auto verb) {
        for (const sel::socket& socket : idle) {
            verb(socket);
            if (looking == looks::after_each) set.look();
        }
        if (looking == looks::after_all) set.look();
    };
    return bench::cpu_of([&] {
        for (long lap = 0; lap < laps; ++lap) {
            each([&](const sel::socket& socket) { set.add(socket); });
            each([&](const sel::socket& socket) { set.modify(socket); });
            each([&](const sel::socket& socket) { set.remove(socket); });
        }
    });
}

int measured(int count, char** values) {
    bench::options given{count, values,
                         "ctl: add, modify and remove N sockets; the bag beside raw epoll_ctl."};
    const long size = given.number("--sockets", 1000, "how many");
    const long laps = given.number("--laps", 5, "times all of them, in one round");
    const long rounds = given.number("--rounds", 21, "rounds of each contestant");
    const std::string backend = given.text("--backend", "epoll", "the bag's mechanism");
    given.finish();

    bench::allow_descriptors(2 * size);
    sockets idle;
    for (long i = 0; i < size; i += 2) {
        auto [one, other] = sel::socket::pair(sel::nonblocking);
        idle.push_back(std::move(one));
        idle.push_back(std::move(other));
    }
    struct {
        looks looking;
        const char* name;
        double budget;  // of uring
    } const ways[] = {{looks::never, "no select", 0.5},
                      {looks::after_all, "a select after all", 0.5},
                      {looks::after_each, "a select after each", 0}};
    raw_set raw;
    bag_set bag{backend};
    for (const auto& way : ways) {
        const auto result = bench::compare(
            rounds, [&] { return round_of(raw, idle, way.looking, laps); },
            [&] { return round_of(bag, idle, way.looking, laps); });
        bench::print_ratio(std::string{"add, modify, remove, "} + way.name + ": CPU, bag" +
                               (backend == "epoll" ? "" : " on " + backend) + " : raw epoll",
                           result, backend == "uring" ? way.budget : 0);
    }
    return 0;
}

}  // namespace

int main(int count, char** values) {
    return bench::explaining([&] { return measured(count, values); });
}
