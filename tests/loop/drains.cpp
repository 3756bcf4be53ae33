// Draining under load: servers take turns at one address while clients come and go, and no client may meet
// anything but an answer. SELECTORS_TEST_DRAINS says how often; 5 times if it does not. TRAPS 34.
#include <atomic>
#include <cstdlib>
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
    /// What came of it, once it is gone.
    drain_result take_down() {
        loop_->post([this] {
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

/// Clients that come while this lives, one every so often, whatever became of those before.
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

    void come_and_go(const address& where, const std::stop_token& enough) {
        selector<client> bag;
        for (auto next = clock::now(); !enough.stop_requested() || bag.size() > 0;) {
            if (!enough.stop_requested() && clock::now() >= next) {
                next = clock::now() + 500us;
                auto begun = or_throw(connect(where));
                begun.set_linger(std::chrono::seconds{0});  // leaves no port behind
                const socket_view view = begun;
                bag.add(view, event::write, {std::move(begun)});
            }
            for (auto [key, events] : bag.select_until(next)) {
                if (!key.data.connected)
                    ask(bag, key);
                else
                    hear(bag, key);
            }
        }
    }
    void ask(selector<client>& bag, const key<client>& key) {
        if (key.data.connection.finish_connect()) {
            put(key.data.connection);
            key.data.connected = true;
            bag.modify(key, event::read);
        } else {
            ++refused;
            bag.remove(key);
        }
    }
    void hear(selector<client>& bag, const key<client>& key) {
        std::array<char, 1> answer;
        ++(key.data.connection.recv(answer).value_or(0) == 1 ? served : lost);
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
        late += now->take_down().accepted;
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
