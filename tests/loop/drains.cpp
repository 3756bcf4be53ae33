// Draining under load: servers take turns at one address while clients come and go, and no client may meet
// anything but an answer. SELECTORS_TEST_DRAINS says how often; 5 times if it does not. TRAPS 34.
#include <atomic>
#include <cstdlib>
#include <deque>
#include <future>
#include <list>
#include <memory>
#include <semaphore>
#include <thread>
#include <utility>
#include <vector>

#include "loop/loop_case.hpp"

namespace selectors::testing {
namespace {

int drains_wanted() {
    const char* const wanted = std::getenv("SELECTORS_TEST_DRAINS");
    return wanted ? std::atoi(wanted) : 5;
}

/// Answers one byte by one byte, and closes; on a thread of its own.
class server {
  public:
    server(const std::string& backend, socket listening, bool siblings) {
        std::promise<void> listens;
        auto ready = listens.get_future();
        thread_ =
            std::jthread{[this, backend, siblings, &listens, door = std::move(listening)]() mutable {
                serve(backend, std::move(door), siblings, listens);
            }};
        ready.get();
    }
    /// What came of it, once it is gone. It was busy just before, so that some have knocked and were not heard.
    drain_result take_down() {
        loop_->post([this] {
            std::this_thread::sleep_for(20ms);
            drain_->begin(*door_, 10s, [this](const drain_result& how) {
                result_ = how;
                loop_->stop();
            });
        });
        posted_.release();
        thread_.join();
        return result_;
    }

  private:
    struct connection {
        socket peer;
        drain::ticket in_flight;
        watch reading;
    };

    void serve(const std::string& backend, socket listening, bool siblings,
               std::promise<void>& listens) {
        loop loop{backend};
        drain drain{loop};
        std::list<connection> inside;
        listener door{loop,
                      std::move(listening),
                      [&](accepted guest) {
                          inside.push_front({std::move(guest.socket), drain.enter({}), {}});
                          const auto here = inside.begin();
                          here->reading = loop.watch(here->peer, event::read, [&, here](event) {
                              take(here->peer);
                              put(here->peer, "y");
                              here->reading = {};
                              inside.erase(here);
                          });
                      },
                      {.siblings = siblings}};
        loop_ = &loop;
        drain_ = &drain;
        door_ = &door;
        listens.set_value();
        loop.run();
        posted_.acquire();  // a loop must live until whoever posts to it is done with that
    }

    loop* loop_ = nullptr;
    drain* drain_ = nullptr;
    listener* door_ = nullptr;
    drain_result result_;
    std::binary_semaphore posted_{0};
    std::jthread thread_;
};

/// Clients that come while this lives, one every so often, whatever became of those before. Each speaks a
/// little after it was let in: what it says at once Linux 6.18 has answered with a reset, two or three times
/// in a million, if it had to knock twice, the listening socket of one process never closed. The packet that
/// lets it in is then the kernel's timer's, on another processor, and what follows may not find the connection.
class crowd {
  public:
    explicit crowd(const address& where)
        : thread_{[this, where](const std::stop_token& enough) { come_and_go(where, enough); }} {}
    /// When the last one has been served, or was not.
    void go_home() {
        thread_.request_stop();
        thread_.join();
    }

    std::atomic<int> served = 0;
    std::atomic<int> refused = 0;
    std::atomic<int> lost = 0;

  private:
    struct client {
        socket connection;
        bool connected = false;
    };
    using bag_of_clients = selector<client>;

    void come_and_go(const address& where, const std::stop_token& enough) {
        bag_of_clients bag;
        std::deque<std::pair<clock::time_point, key<client>>> silent;
        for (auto next = clock::now(); !enough.stop_requested() || bag.size() > 0;) {
            if (clock::now() >= next) {
                next = clock::now() + 500us;
                if (!enough.stop_requested()) knock(bag, where);
            }
            for (auto [key, events] : bag.select_until(next)) {
                if (key.data.connected)
                    hear(bag, key);
                else if (enter(bag, key))
                    silent.emplace_back(clock::now() + 1ms, key);
            }
            // Whoever has been reset meanwhile hears of that.
            for (; !silent.empty() && clock::now() >= silent.front().first; silent.pop_front())
                if (const auto& key = silent.front().second; bag.contains(key))
                    static_cast<void>(key.data.connection.send("x"));
        }
    }
    static void knock(bag_of_clients& bag, const address& where) {
        auto begun = or_throw(connect(where));
        begun.set_linger(std::chrono::seconds{0});  // leaves no port behind
        const socket_view view = begun;
        bag.add(view, event::write, {.connection = std::move(begun)});
    }
    bool enter(bag_of_clients& bag, const key<client>& key) {
        key.data.connected = key.data.connection.finish_connect().has_value();
        if (key.data.connected) {
            bag.modify(key, event::read);
        } else {
            ++refused;
            bag.remove(key);
        }
        return key.data.connected;
    }
    void hear(bag_of_clients& bag, const key<client>& key) {
        std::array<char, 1> answer;
        const auto got = key.data.connection.recv(answer);
        ++(got.value_or(0) == 1 ? served : lost);
        if (got.value_or(0) != 1)
            ADD_FAILURE() << "lost: " << (got ? "the end" : got.error().message());
        bag.remove(key);
    }

    std::jthread thread_;
};

/// One server after another, the next one begun before the last is taken down.
template <class Door>
void take_turns(const std::string& backend, const address& where, bool siblings, Door door) {
    auto now = std::make_unique<server>(backend, door(), siblings);
    crowd clients{where};
    std::uint64_t late = 0;
    for (int i = 0; i < drains_wanted(); ++i) {
        for (const int before = clients.served; clients.served < before + 50;)
            std::this_thread::sleep_for(100us);
        auto next = std::make_unique<server>(backend, door(), siblings);
        const drain_result how = now->take_down();
        EXPECT_TRUE(how.in_time) << how.cut_off << " cut off, " << how.finished << " finished, after "
                                 << std::chrono::duration<double>(how.took).count() << " s";
        late += how.accepted;
        now = std::move(next);
    }
    clients.go_home();
    now->take_down();
    std::printf("%d drains: %d served, %llu of them accepted by a last look; %d lost, %d refused\n",
                drains_wanted(), clients.served.load(), static_cast<unsigned long long>(late),
                clients.lost.load(), clients.refused.load());
    EXPECT_EQ(clients.lost, 0);
    EXPECT_EQ(clients.refused, 0);
}

CASE(drains_beside_a_sibling_lose_nobody) {
    NEEDS(shared_ports);
    if (backend_is("kqueue"))
        NOT_EXPRESSIBLE("only Linux makes a listening socket deaf before it closes");
    socket first = listen(address::loopback(0), shared_port);
    const address where = or_throw(first.local_address());
    take_turns(backend(), where, true,
               [&] { return first ? std::move(first) : listen(where, shared_port); });
}

CASE(drains_that_hand_the_socket_over_lose_nobody) {
    NEEDS(forks);  // and so has nobody else's sockets
    const socket same = listen(address::loopback(0));
    take_turns(backend(), or_throw(same.local_address()), false,
               [&] { return duplicate_of(same.descriptor()); });
}

}  // namespace
}  // namespace selectors::testing
