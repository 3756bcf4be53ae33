// Every allocation of a loop fails once: the first, the second, ... until a run needs no more of them. What
// was asked for then is not there, and everything else is.
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <selectors/async.hpp>

#include "failing_allocations.hpp"
#include "loop/readiness.hpp"
#include "loop/signalling.hpp"
#include "loop/started_process.hpp"

namespace selectors {
namespace {

using namespace std::chrono_literals;
using testing::allocations_until_failure;

/// Something a program does with a loop: throws std::bad_alloc, or std::system_error out of memory, wherever
/// an allocation fails. Whatever it made it must have taken away when it returns or throws.
using scenario = std::function<void(loop&)>;

/// What does not fit into a callback, so that it is one more allocation.
struct large {
    long more[8] = {};
};

/// One byte from a to b wakes a watch that stops the loop.
bool works(loop& loop) {
    auto [a, b] = socket::pair(nonblocking);
    int told = 0;
    const watch reading = loop.watch(a, event::read, [&](event) { ++told; });
    int ran = 0;
    loop.post([&] { ++ran; });
    loop.defer([&] { ++ran; });
    const timer due = loop.after(0s, [&] { ++ran; });
    if (!b.send("x")) return false;
    for (int i = 0; i < 10 && (told == 0 || ran < 3); ++i) loop.run_once(1s);
    return told > 0 && ran == 3;
}

/// Runs it with every allocation failing once, and looks that the loop still works.
void sweep(const char* backend, const scenario& act, long at_least = 1) {
    long failed = 0;
    for (bool finished = false; !finished; ++failed) {
        ASSERT_LT(failed, 10'000);
        std::optional<loop> made;
        try {
            allocations_until_failure = failed;
            made.emplace(backend);
            act(*made);
            finished = true;
        } catch (const std::bad_alloc&) {
        } catch (const std::system_error& refused) {
            allocations_until_failure = -1;
            EXPECT_EQ(refused.code(), errc::out_of_memory) << refused.what();
        }
        allocations_until_failure = -1;
        if (made) {
            EXPECT_TRUE(works(*made)) << "after allocation " << failed;
        }
    }
    EXPECT_GT(failed, at_least) << "there was nothing to fail";
}

class every_allocation_of_a_loop : public ::testing::TestWithParam<const char*> {
  protected:
    void SetUp() override {
        for (const backend_info& each : backends())
            if (GetParam() == each.name && !each.available) GTEST_SKIP() << "not here: " << each.reason;
    }
};

TEST_P(every_allocation_of_a_loop, may_fail_as_it_is_made) {
    sweep(GetParam(), [](loop&) {});
}

TEST_P(every_allocation_of_a_loop, may_fail_as_it_watches) {
    std::vector<std::pair<socket, socket>> pairs;
    for (int i = 0; i < 40; ++i) pairs.push_back(socket::pair(nonblocking));
    sweep(
        GetParam(),
        [&](loop& loop) {
            int told = 0;
            std::vector<watch> watches;
            for (auto& [a, b] : pairs)
                for (const event interest : {event::write, event::read})
                    watches.push_back(loop.watch(a, interest, [&told, l = large{}](event) {
                        (void)l;
                        ++told;
                    }));
            for (watch& each : watches) each.modify(event::read | event::write);
            (void)loop.run_once(1s);
            EXPECT_EQ(told, 80);
        },
        80);
}

TEST_P(every_allocation_of_a_loop, may_fail_as_timers_are_made) {
    sweep(GetParam(), [](loop& loop) {
        int fired = 0;
        timer first = loop.after(0s, [&, l = large{}] {
            (void)l;
            ++fired;
        });
        timer second = loop.every(1us, [&] { ++fired; });
        while (fired < 3) loop.run_once(1s);
        first.after(0s);  // arming allocates nothing
        while (fired < 5) loop.run_once(1s);
    });
}

/// What throws was not posted; what was posted before it runs.
TEST_P(every_allocation_of_a_loop, may_fail_as_something_is_posted) {
    sweep(GetParam(), [](loop& loop) {
        int handed_in = 0, ran = 0;
        const auto run_all = [&] {
            const long left = std::exchange(allocations_until_failure, -1);
            for (int i = 0; i < 5; ++i) loop.run_once(0s);
            EXPECT_EQ(ran, handed_in);
            allocations_until_failure = left;
        };
        try {
            for (int i = 0; i < 3; ++i) {
                loop.post([&ran] { ++ran; });
                ++handed_in;
                loop.defer([&ran, l = large{}] {
                    (void)l;
                    ++ran;
                });
                ++handed_in;
            }
        } catch (...) {
            run_all();
            throw;
        }
        run_all();
    });
}

/// An echo on watches: accepts, answers, stops. The client allocates nothing that is counted.
TEST_P(every_allocation_of_a_loop, may_fail_while_it_serves_on_watches) {
    sweep(GetParam(), [](loop& loop) {
        struct connection {
            socket peer;
            watch reading;
        };
        const socket door = listen(address::loopback(0));
        const socket client = or_throw(connect(or_throw(door.local_address())));
        std::optional<connection> served;
        bool answered = false;
        const watch accepting = loop.watch(door, event::read, [&](event) {
            auto got = door.accept(nonblocking);
            if (!got) return;
            served.emplace(connection{std::move(got->socket), {}});
            served->reading = loop.watch(served->peer, event::read, [&](event) {
                char room[64];
                const auto n = served->peer.recv(room);
                if (!n || *n == 0) return loop.stop();
                EXPECT_TRUE(served->peer.send(const_buffer{room, *n}));
            });
        });
        const watch asking = loop.watch(client, event::write, [&](event) {
            char room[64];
            if (client.recv(room)) {
                answered = true;
                return loop.stop();
            }
            (void)client.send("x");
        });
        loop.run();
        EXPECT_TRUE(answered);
    });
}

/// The same with a listener, which may also do without what it cannot have.
TEST_P(every_allocation_of_a_loop, may_fail_while_it_listens) {
    sweep(GetParam(), [](loop& loop) {
        int served = 0;
        socket own = listen(address::loopback(0));
        const address here = or_throw(own.local_address());
        listener door{loop, std::move(own), [&](accepted peer) {
                          served += bool(peer.socket);
                          loop.stop();
                      }};
        const socket client = or_throw(connect(here));
        loop.run();
        EXPECT_EQ(served, 1);
    });
}

TEST_P(every_allocation_of_a_loop, may_fail_as_signals_and_children_are_awaited) {
    using namespace testing;
    sweep(GetParam(), [](loop& loop) {
        started_process process{3};
        int heard = 0;
        std::optional<exit_status> ended;
        const auto told = [&, l = large{}] {
            (void)l;
            if (heard == 2 && ended) loop.stop();
        };
        const signals hearing{loop, {first_signal, second_signal}, [&, told](int) {
                                  ++heard;
                                  told();
                              }};
        const selectors::child worker{loop, process.number(), [&, told](exit_status how) {
                                          ended = how;
                                          told();
                                      }};
        for (const int each : {first_signal, second_signal}) send_signal(each);
        process.let_end();
        loop.run();
        EXPECT_EQ(heard, 2);
        EXPECT_EQ(ended->code, 3);
    });
}

/// The same with the driver's operations. Where one cannot begin to wait its error says so.
TEST_P(every_allocation_of_a_loop, may_fail_while_its_driver_serves) {
    long failed = 0;
    for (bool finished = false; !finished; ++failed) {
        ASSERT_LT(failed, 1'000);
        using namespace detail;
        const auto told = [](operation& op) { op.what = op.what; };
        auto [a, b] = socket::pair(nonblocking);
        char memory[16];
        const mutable_buffer room{memory};
        recv_operation in{a.descriptor(), told};
        in.rooms = {&room, 1};
        ready_operation ready{a.descriptor(), told};
        ready.ask_for(event::read);
        try {
            allocations_until_failure = failed;
            readiness_driver carrier{open_backend(GetParam())};
            const bool refused = carrier.submit(in);
            const bool stands = !carrier.submit(ready);
            allocations_until_failure = -1;
            if (refused) {
                EXPECT_EQ(in.error, errc::out_of_memory) << in.error.message();
                EXPECT_FALSE(carrier.submit(in));
            }
            if (!stands) {
                EXPECT_EQ(ready.error, errc::out_of_memory) << ready.error.message();
            }
            // Should the one have cost the other its place, it says so.
            (void)b.send("x");
            for (int i = 0; i < 10 && carrier.completed.empty(); ++i) carrier.wait(carrier.now() + 1s);
            EXPECT_FALSE(carrier.completed.empty());
            while (!carrier.completed.empty()) carrier.completed.pop();
            EXPECT_NE(in.state, operation_state::waiting);
            finished = !refused && stands && !in.error && in.count == 1;
            carrier.cancel_all();
            while (!carrier.completed.empty()) carrier.completed.pop();
        } catch (const std::bad_alloc&) {
        } catch (const std::system_error& refused) {
            EXPECT_EQ(refused.code(), errc::out_of_memory) << refused.what();
        }
        allocations_until_failure = -1;
    }
    EXPECT_GT(failed, 1);
}

std::vector<const char*> names() {
    std::vector<const char*> all;
    for (const backend_info& each : backends()) all.push_back(each.name);
    return all;
}

INSTANTIATE_TEST_SUITE_P(on, every_allocation_of_a_loop, ::testing::ValuesIn(names()),
                         [](const auto& which) { return which.param; });

}  // namespace
}  // namespace selectors
