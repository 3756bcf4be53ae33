#include <atomic>
#include <csignal>
#include <optional>
#include <thread>
#include <vector>

#include "loop/loop_case.hpp"
#include "loop/signalling.hpp"

namespace selectors::testing {
namespace {

CASE(a_signal_is_told_in_the_loops_turn) {
    loop loop{backend()};
    std::vector<int> told;
    const signals both_of_them{
        loop, {first_signal, second_signal}, [&](int number) { told.push_back(number); }};
    EXPECT_TRUE(both_of_them);
    send_signal(second_signal);
    send_signal(first_signal);
    EXPECT_TRUE(told.empty());
    while (told.size() < 2) loop.run_once(5s);
    EXPECT_EQ(told, (std::vector{second_signal, first_signal}));
    EXPECT_EQ(loop.run_once(1ms), 0U);
}

CASE(a_signal_wakes_a_sleeping_loop) {
    loop loop{backend()};
    const signals quit{loop, {first_signal}, [&](int) { loop.stop(); }};
    std::jthread other{[] { send_signal(first_signal); }};
    loop.run();
}

CASE(a_signal_that_comes_again_before_it_is_told_is_one) {
    loop loop{backend()};
    int told = 0;
    const signals hearing{loop, {first_signal, first_signal}, [&](int) {
                              if (++told == 1) send_signal(first_signal);
                          }};
    for (int i = 0; i < 100; ++i) send_signal(first_signal);
    EXPECT_EQ(loop.run_once(1s), 1U);
    EXPECT_EQ(loop.run_once(1s), 1U) << "what comes while it is told is told again";
    EXPECT_EQ(loop.run_once(1ms), 0U);
    EXPECT_EQ(told, 2);
}

CASE(a_signal_is_told_to_every_loop_that_wants_it) {
    std::atomic<int> ready = 0;
    const auto wait_for_it = [&] {
        loop loop{backend()};
        int told = 0;
        const auto tell = [&](int) {
            if (++told == 2) loop.stop();
        };
        const signals first{loop, {first_signal}, tell};
        const signals second{loop, {second_signal, first_signal}, tell};
        ++ready;
        loop.run();
    };
    std::jthread one{wait_for_it};
    std::jthread other{wait_for_it};
    while (ready < 2) std::this_thread::yield();
    send_signal(first_signal);
}

CASE(a_signal_ends_with_its_handle_and_what_was_not_told_is_not) {
    loop loop{backend()};
    auto alive = std::make_shared<int>(7);
    signals hearing{loop, {first_signal}, [alive](int) { FAIL(); }};
    const signals others{loop, {first_signal}, [&](int) { loop.stop(); }};
    send_signal(first_signal);
    signals moved = std::move(hearing);
    EXPECT_FALSE(hearing);
    moved = signals{};
    EXPECT_EQ(alive.use_count(), 1);
    loop.run();
}

CASE(a_callback_of_a_signal_may_destroy_itself) {
    loop loop{backend()};
    auto alive = std::make_shared<int>(7);
    std::optional<signals> itself;
    itself.emplace(loop, std::initializer_list{first_signal, second_signal}, [&, alive](int) {
        itself.reset();
        EXPECT_EQ(*alive, 7);
        loop.stop();
    });
    // Both are in the mailbox when the first of them is told.
    const signals keeps_them_caught{loop, {first_signal, second_signal}, [](int) {}};
    send_signal(first_signal);
    send_signal(second_signal);
    loop.run();
    EXPECT_EQ(alive.use_count(), 1);
    loop.run_once(10ms);
}

CASE(a_callback_of_a_signal_may_destroy_the_loop) {
    std::optional<loop> made;
    made.emplace(backend());
    const signals hearing{*made, {first_signal}, [&](int) { made.reset(); }};
    const signals silent{*made, {first_signal}, [&](int) { FAIL(); }};
    send_signal(first_signal);
    made->run();
    EXPECT_FALSE(made);
    EXPECT_FALSE(hearing);
}

CASE(a_callback_of_a_signal_may_throw) {
    loop loop{backend()};
    const signals throwing{loop, {first_signal}, [](int number) { throw number; }};
    const signals stopping{loop, {first_signal}, [&](int) { loop.stop(); }};
    send_signal(first_signal);
    int thrown = 0;
    for (bool stopped = false; !stopped;) try {
            loop.run();
            stopped = true;
        } catch (int) {
            ++thrown;
        }
    EXPECT_EQ(thrown, 1);
}

CASE(a_signal_for_a_loop_that_is_gone_harms_nobody) {
    std::optional<loop> made;
    made.emplace(backend());
    signals late{*made, {first_signal}, [](int) { FAIL(); }};
    const signals later{*made, {first_signal}, [](int) { FAIL(); }};
    send_signal(first_signal);
    made.reset();
    EXPECT_FALSE(late);
    loop another{backend()};
    const signals hearing{another, {first_signal}, [&](int) { another.stop(); }};
    send_signal(first_signal);
    another.run();
    late = signals{};
}

CASE(a_signal_is_called_so_to_an_observer) {
    seen_kinds seen;
    loop loop{backend()};
    loop.observe(&seen);
    const signals hearing{loop, {first_signal}, [&](int) { loop.stop(); }};
    send_signal(first_signal);
    loop.run();
    EXPECT_EQ(seen.kinds, "signal");
}

CASE(a_number_that_is_no_signal_is_refused_with_a_sentence) {
    loop loop{backend()};
    const auto why = [&](std::initializer_list<int> numbers) -> std::string {
        try {
            const signals refused{loop, numbers, [](int) {}};
        } catch (const std::invalid_argument& sentence) {
            return sentence.what();
        }
        return "was taken";
    };
    for (const int number : {-1, 0, 4'711, SIGSEGV}) {
        const std::string said = why({first_signal, number});
        EXPECT_TRUE(said.starts_with("signal " + std::to_string(number) + " is ")) << said;
    }
#if !defined(_WIN32)
    EXPECT_NE(why({SIGKILL}).find("cannot be caught"), std::string::npos);
    EXPECT_NE(why({SIGSTOP}).find("cannot be caught"), std::string::npos);
#endif
}

#if !defined(_WIN32)

// --- with other handlers ---------------------------------------------------------------------------

std::atomic<int> earlier_called = 0;

void plain_handler(int) {
    ++earlier_called;
    errno = EBADF;
}
void full_handler(int number, siginfo_t* about, void*) {
    if (about->si_signo == number && about->si_pid == ::getpid()) ++earlier_called;
}

/// What a signal does, put back at the end.
class disposition {
  public:
    disposition(int number, const struct sigaction& action) : number_{number} {
        EXPECT_EQ(::sigaction(number, &action, &before_), 0);
        earlier_called = 0;
    }
    disposition(int number, void (*handler)(int)) : disposition{number, plain(handler)} {}
    disposition(const disposition&) = delete;
    disposition& operator=(const disposition&) = delete;
    ~disposition() { ::sigaction(number_, &before_, nullptr); }

    static struct sigaction plain(void (*handler)(int)) {
        struct sigaction action{};
        action.sa_handler = handler;
        return action;
    }
    static struct sigaction full(void (*handler)(int, siginfo_t*, void*)) {
        struct sigaction action{};
        action.sa_sigaction = handler;
        action.sa_flags = SA_SIGINFO;
        return action;
    }
    static struct sigaction now(int number) {
        struct sigaction action{};
        ::sigaction(number, nullptr, &action);
        return action;
    }

  private:
    int number_;
    struct sigaction before_{};
};

CASE(a_signals_earlier_handler_is_called_too_and_comes_back) {
    loop loop{backend()};
    int told = 0;
    const auto check = [&](const struct sigaction& earlier) {
        const disposition own{SIGUSR1, earlier};
        told = 0;
        {
            const signals hearing{loop, {SIGUSR1}, [&](int) { ++told; }};
            {
                const signals another{loop, {SIGUSR1}, [&](int) { ++told; }};
            }
            errno = ENOENT;
            send_signal(SIGUSR1);
            EXPECT_EQ(errno, ENOENT);
            EXPECT_EQ(earlier_called, 1);
            EXPECT_EQ(loop.run_once(1s), 1U);
        }
        send_signal(SIGUSR1);
        EXPECT_EQ(earlier_called, 2);
        EXPECT_EQ(loop.run_once(1ms), 0U);
        EXPECT_EQ(told, 1);
        const auto now = disposition::now(SIGUSR1);
        EXPECT_EQ(now.sa_flags & (SA_SIGINFO | SA_RESTART), earlier.sa_flags);
        EXPECT_EQ(now.sa_handler, earlier.sa_handler);
    };
    check(disposition::plain(&plain_handler));
    check(disposition::full(&full_handler));
}

CASE(a_signal_that_was_ignored_is_told_and_ignored_again) {
    loop loop{backend()};
    for (auto* const usual : {SIG_IGN, SIG_DFL}) {
        const disposition own{SIGUSR2, usual};
        {
            const signals hearing{loop, {SIGUSR2}, [&](int) { loop.stop(); }};
            send_signal(SIGUSR2);
            loop.run();
        }
        EXPECT_EQ(disposition::now(SIGUSR2).sa_handler, usual);
    }
}

CASE(a_signal_interrupts_calls_only_where_it_did_before) {
    loop loop{backend()};
    for (const int flags : {0, SA_RESTART, SA_RESTART | SA_NOCLDSTOP | SA_NOCLDWAIT}) {
        struct sigaction earlier = disposition::plain(&plain_handler);
        earlier.sa_flags = flags;
        const disposition own{SIGCHLD, earlier};
        const signals hearing{loop, {SIGCHLD}, [](int) {}};
        const int all = SA_RESTART | SA_NOCLDSTOP | SA_NOCLDWAIT;
        EXPECT_EQ(disposition::now(SIGCHLD).sa_flags & all, flags);
    }
    const disposition ignored{SIGCHLD, SIG_IGN};
    const signals hearing{loop, {SIGCHLD}, [](int) {}};
    EXPECT_TRUE(disposition::now(SIGCHLD).sa_flags & SA_NOCLDWAIT);
    EXPECT_TRUE(disposition::now(SIGCHLD).sa_flags & SA_RESTART);
}

struct sigaction under_theirs;
void calls_what_was_before(int number, siginfo_t* about, void* context) {
    if (++earlier_called < 100) under_theirs.sa_sigaction(number, about, context);
}

CASE(a_signals_handler_that_was_put_in_place_of_ours_stays) {
    loop loop{backend()};
    const disposition own{SIGUSR1, SIG_DFL};
    int told = 0;
    {
        const signals hearing{loop, {SIGUSR1}, [&](int) { ++told; }};
        under_theirs = disposition::now(SIGUSR1);
        earlier_called = 0;
        const auto theirs = disposition::full(&calls_what_was_before);
        ::sigaction(SIGUSR1, &theirs, nullptr);
        send_signal(SIGUSR1);
        EXPECT_EQ(loop.run_once(1s), 1U);
        EXPECT_EQ(earlier_called, 1);
    }
    EXPECT_EQ(disposition::now(SIGUSR1).sa_sigaction, &calls_what_was_before);
    send_signal(SIGUSR1);
    EXPECT_EQ(earlier_called, 2);
    {
        // Theirs calls ours, and ours whatever was there before it: theirs. Not for ever.
        const signals again{loop, {SIGUSR1}, [&](int) { ++told; }};
        send_signal(SIGUSR1);
        EXPECT_EQ(loop.run_once(1s), 1U);
        EXPECT_EQ(earlier_called, 3);
        send_signal(SIGUSR1);
        EXPECT_EQ(earlier_called, 4);
    }
    EXPECT_EQ(disposition::now(SIGUSR1).sa_sigaction, &calls_what_was_before);
    {
        const signals third{loop, {SIGUSR1}, [&](int) { ++told; }};
        const auto theirs = disposition::plain(&plain_handler);
        const auto ours = disposition::now(SIGUSR1);
        ::sigaction(SIGUSR1, &theirs, nullptr);
        ::sigaction(SIGUSR1, &ours, nullptr);  // they have put ours back
        send_signal(SIGUSR1);
        EXPECT_EQ(loop.run_once(1s), 1U);
    }
    EXPECT_EQ(told, 3);
}

CASE(a_signal_that_the_system_keeps_for_itself_is_refused) {
    loop loop{backend()};
    int reserved = 0;
    for (int number = 1; number < 64; ++number) {
        struct sigaction action{};
        if (::sigaction(number, nullptr, &action) < 0) reserved = number;
    }
    if (reserved == 0) GTEST_SKIP() << "this system keeps none for itself";
    EXPECT_THROW((signals{loop, {reserved}, [](int) {}}), std::invalid_argument);
}

// --- much of it ------------------------------------------------------------------------------------

CASE(a_storm_of_signals_delays_no_timer_and_loses_nothing) {
    loop loop{backend()};
    std::atomic<int> sent = 0;
    int seen = 0;
    int told = 0;
    const signals hearing{loop, {SIGUSR1}, [&](int) {
                              ++told;
                              seen = sent;
                          }};
    clock::duration latest{};
    clock::time_point due = clock::now();
    timer beat;
    beat = timer{loop, [&] {
                     latest = std::max(latest, clock::now() - due);
                     due = clock::now() + 5ms;
                     beat.at(due);
                 }};
    beat.after(0s);
    std::atomic<bool> done = false;
    std::jthread storm{[&] {
        const auto end = clock::now() + 300ms;
        for (auto next = clock::now(); next < end; next += 333us) {
            std::this_thread::sleep_until(next);
            ++sent;
            send_signal(SIGUSR1);
        }
        done = true;
        loop.wake();
    }};
    while (!done) loop.run_once();
    while (loop.run_once(1ms) > 0 && seen < sent) {
    }
    EXPECT_EQ(seen, sent);
    EXPECT_GT(told, 30);
    EXPECT_LT(latest, 100ms);
}

CASE(a_signal_may_come_while_handles_come_and_go_in_other_threads) {
    // So that what arrives when nobody else listens ends nothing.
    const disposition one{SIGUSR1, [](int) { ++earlier_called; }};
    const disposition two{SIGUSR2, SIG_IGN};
    std::vector<std::jthread> storms;
    for (const int number : {SIGUSR1, SIGUSR2})
        storms.emplace_back([number](const std::stop_token& enough) {
            while (!enough.stop_requested()) {
                send_signal(number);
                ::kill(::getpid(), number);
                std::this_thread::yield();
            }
        });
    const auto come_and_go = [&](int rounds) {
        for (int i = 0; i < rounds; ++i) {
            loop loop{backend()};
            int told = 0;
            signals first{loop, {SIGUSR1, SIGUSR2}, [&](int) { ++told; }};
            for (int k = 0; k < 5; ++k) {
                const signals second{loop, {SIGUSR2}, [&](int) { ++told; }};
                loop.run_once(0s);
                if (k == 3) first = signals{};
            }
            if (i % 10 == 0) {
                const signals until_told{loop, {SIGUSR1}, [&](int) { loop.stop(); }};
                loop.run();
            }
        }
    };
    std::jthread another{come_and_go, 100};
    come_and_go(100);
}

CASE(a_signal_costs_no_descriptor) {
    loop loop{backend()};
    const native_handle before = duplicate_of(0).descriptor();
    {
        const signals hearing{loop, {SIGUSR1}, [](int) {}};
        EXPECT_EQ(duplicate_of(0).descriptor(), before);
        send_signal(SIGUSR1);
        EXPECT_EQ(loop.run_once(1s), 1U);
        EXPECT_EQ(duplicate_of(0).descriptor(), before);
    }
    EXPECT_EQ(duplicate_of(0).descriptor(), before);
}

// --- after a fork ----------------------------------------------------------------------------------

CASE(a_signal_to_a_forked_child_is_told_there_alone) {
    loop loop{backend()};
    int told = 0;
    signals hearing{loop, {SIGUSR1}, [&](int) { ++told; }};
    EXPECT_EQ(loop.run_once(0s), 0U);
    EXPECT_EQ(in_child([&] {
                  send_signal(SIGUSR1);
                  if (loop.run_once(5s) != 1 || told != 1) return false;
                  send_signal(SIGUSR1);
                  hearing = signals{};
                  return loop.run_once(1ms) == 0;
              }),
              0);
    const auto waits = loop.stats().waits;
    EXPECT_GE(time_of([&] { EXPECT_EQ(loop.run_once(10ms), 0U); }), 10ms);
    EXPECT_EQ(loop.stats().waits, waits + 1);
    send_signal(SIGUSR1);
    EXPECT_EQ(loop.run_once(1s), 1U);
}

CASE(a_child_that_is_forked_while_handles_come_and_go_can_do_so_too) {
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
    GTEST_SKIP()
        << "in a child GCC 12's sanitizers wait for ever for a lock of their allocator's that another "
           "thread held; the C library's is given up there";
#endif
    loop loop{backend()};
    std::atomic<bool> done = false;
    const disposition usual{SIGUSR2, SIG_IGN};
    std::jthread busy{[&] {
        selectors::loop other{backend()};
        while (!done) {
            const signals coming_and_going{other, {SIGUSR2}, [](int) {}};
            send_signal(SIGUSR2);
        }
    }};
    for (int i = 0; i < 20; ++i)
        EXPECT_EQ(in_child([&] {
                      signals hearing{loop, {SIGUSR1}, [](int) {}};
                      send_signal(SIGUSR1);
                      const bool told = loop.run_once(5s) == 1;
                      hearing = signals{};
                      return told;
                  }),
                  0);
    done = true;
}

#endif

}  // namespace
}  // namespace selectors::testing
