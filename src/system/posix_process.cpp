#include <cerrno>
#include <climits>
#include <string>

#include <pthread.h>
#include <sys/wait.h>

#include "system/process.hpp"

namespace selectors::sys {
namespace {

// --- signals -------------------------------------------------------------------------------------

/// More than any system has: FreeBSD has 128. Whether there is one of a number, the system says.
constexpr int most_signals = 128;
/// What the code that caused them runs into again as soon as their handler has returned.
constexpr int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};

using plain_handler = void (*)(int);
using full_handler = void (*)(int, siginfo_t*, void*);

/// Whoever is to be called for a signal: one of the two, or nobody where the system sees to it.
struct handlers {
    explicit handlers(const struct sigaction& of) noexcept
        : full{of.sa_flags & SA_SIGINFO ? of.sa_sigaction : nullptr},
          plain{full || of.sa_handler == SIG_DFL || of.sa_handler == SIG_IGN ? nullptr
                                                                             : of.sa_handler} {}
    full_handler full;
    plain_handler plain;
};

/// Of each number: what was there before ours.
struct caught_signal {
    struct sigaction before{};
    /// Ours, on any thread, may be reading them while they change.
    std::atomic<full_handler> full{nullptr};
    std::atomic<plain_handler> plain{nullptr};
    /// Somebody has put another in place of ours, which may call ours, and now stands under it.
    std::atomic<bool> circular{false};
};
caught_signal caught[most_signals + 1];
constinit std::atomic<signal_handler> tell{nullptr};
static_assert(std::atomic<plain_handler>::is_always_lock_free);

/// Which delivery this thread is handing on in a circle: each has its context somewhere else.
constinit thread_local const void* handed_on = nullptr;

/// Last of all, when the list of subscribers was left: such a handler need not return.
void hand_on(int number, siginfo_t* about, void* context) {
    const caught_signal& it = caught[number];
    const bool circular = it.circular.load(std::memory_order_relaxed);
    if (circular && handed_on == context) return;
    if (circular) handed_on = context;
    if (const full_handler full = it.full.load(std::memory_order_relaxed))
        full(number, about, context);
    else if (const plain_handler plain = it.plain.load(std::memory_order_relaxed))
        plain(number);
    if (circular) handed_on = nullptr;
}

extern "C" void selectors_on_signal(int number, siginfo_t* about, void* context) {
    const int saved = errno;
    tell.load(std::memory_order_relaxed)(number);
    hand_on(number, about, context);
    errno = saved;
}

bool is_ours(const struct sigaction& action) noexcept {
    return handlers{action}.full == &selectors_on_signal;
}

/// While ours runs no other signal interrupts it, or its handler might leave by a long jump, and ours be
/// counted as running for ever. But faults do: blocked, they would get past a program's crash handler.
struct sigaction our_action(int number, const struct sigaction& before) noexcept {
    const handlers earlier{before};
    struct sigaction ours{};
    ours.sa_sigaction = &selectors_on_signal;
    // On the other stack where a thread has one: Go's have little of their own. Calls are interrupted only
    // where they were before; how children end goes on to be kept, or thrown away, as it was.
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK | (before.sa_flags & (SA_NOCLDSTOP | SA_NOCLDWAIT));
    if (!(earlier.full || earlier.plain) || before.sa_flags & SA_RESTART) ours.sa_flags |= SA_RESTART;
    if (number == SIGCHLD && !earlier.full && before.sa_handler == SIG_IGN)
        ours.sa_flags |= SA_NOCLDWAIT;
    ::sigfillset(&ours.sa_mask);
    for (const int each : faults) ::sigdelset(&ours.sa_mask, each);
    return ours;
}

}  // namespace

const char* why_not_catchable(int number) noexcept {
    struct sigaction now{};
    if (number < 1 || number > most_signals || ::sigaction(number, nullptr, &now) < 0)
        return "is none of this system's signals";
    if (number == SIGKILL || number == SIGSTOP) return "cannot be caught by anybody";
    for (const int each : faults)
        if (number == each)
            return "is a fault: what caused it would do so again before a loop could look";
    return nullptr;
}

result<void> catch_signal(int number, signal_handler told) noexcept {
    caught_signal& it = caught[number];
    struct sigaction now{};
    if (::sigaction(number, nullptr, &now) < 0) return failure();
    if (is_ours(now)) return {};  // whoever had replaced it has put it back
    const handlers earlier{now};
    it.full.store(earlier.full, std::memory_order_relaxed);
    it.plain.store(earlier.plain, std::memory_order_relaxed);
    it.before = now;
    tell.store(told, std::memory_order_relaxed);
    const struct sigaction ours = our_action(number, now);
    if (::sigaction(number, &ours, nullptr) < 0) return failure();
    return {};
}

void release_signal(int number) noexcept {
    caught_signal& it = caught[number];
    struct sigaction now{};
    if (::sigaction(number, nullptr, &now) == 0 && is_ours(now))
        ::sigaction(number, &it.before, nullptr);
    else
        it.circular.store(true, std::memory_order_relaxed);
}

signals_blocked::signals_blocked() noexcept {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
}

signals_blocked::~signals_blocked() {
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

// --- processes -----------------------------------------------------------------------------------

constinit const int child_signal = SIGCHLD;

process::process(std::int64_t number) : number_{number} {
    if (number > INT_MAX) errno = ECHILD;
    siginfo_t about{};
    if (number > INT_MAX ||
        ::waitid(P_PID, static_cast<id_t>(number), &about, WEXITED | WNOHANG | WNOWAIT) < 0)
        throw std::system_error(last_error(), "waitid of process " + std::to_string(number));
    // Without one, for whatever reason, there is the signal.
    descriptor_ = owned{open_process(number).value_or(invalid_handle)};
}

bool process::call_at_end(call, void*) {
    return false;
}

void process::stop() noexcept {}

result<std::optional<exit_status>> process::look() noexcept {
    int status = 0;
    const pid_t ended = ::waitpid(static_cast<pid_t>(number_), &status, WNOHANG);
    if (ended < 0) return failure();
    if (ended == 0) return std::nullopt;
    if (WIFSIGNALED(status)) return exit_status{-1, WTERMSIG(status)};
    return exit_status{WEXITSTATUS(status), 0};
}

}  // namespace selectors::sys
