// Which mechanisms there are on this machine, and which one a bag gets.
#include <array>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "backend/mechanisms.hpp"

namespace selectors {
namespace {

using std::chrono::nanoseconds;

struct mechanism {
    const char* name;
    backend_handle (*make)();
    const char* good_for;
    const char* limit;
    nanoseconds precision;
    bool priority;
};

#if defined(__APPLE__)
constexpr nanoseconds poll_precision = std::chrono::milliseconds{1};  // it has no ppoll
#else
[[maybe_unused]] constexpr nanoseconds poll_precision{1};
#endif

#if defined(__FreeBSD__) || defined(__NetBSD__)
constexpr bool kqueue_has_priority = false;  // there is no filter for it
#else
[[maybe_unused]] constexpr bool kqueue_has_priority = true;
#endif

/// The preferred first. cmake/platform.cmake decides which there are.
constexpr mechanism mechanisms[] = {
#if defined(SELECTORS_HAS_AFD)
    {"afd", make_afd, "any number of sockets at the cost of the ready ones",
     "as many as there is kernel memory for; sockets only", std::chrono::milliseconds{1}, true},
#endif
#if defined(SELECTORS_HAS_EPOLL)
    {"epoll", make_epoll, "any number of descriptors at the cost of the ready ones",
     "as many as fs.epoll.max_user_watches allows a user", nanoseconds{1}, true},
#endif
#if defined(SELECTORS_HAS_URING)
    {"uring", make_uring, "io_uring: changes are batched, a thousand of them are one system call",
     "as many as there is kernel memory for", nanoseconds{1}, true},
#endif
#if defined(SELECTORS_HAS_KQUEUE)
    {"kqueue", make_kqueue, "any number of descriptors at the cost of the ready ones",
     "as many as there is kernel memory for", nanoseconds{1}, kqueue_has_priority},
#endif
#if defined(SELECTORS_HAS_POLL)
    {"poll", make_poll, "portable; every wait costs as much as there are descriptors",
     "as many as a process may open (RLIMIT_NOFILE)", poll_precision, true},
#endif
#if defined(SELECTORS_HAS_SELECT)
    {"select", make_select, "portable; every wait costs as much as the highest descriptor",
     "as many as a process may open (RLIMIT_NOFILE); FD_SETSIZE does not matter", nanoseconds{1}, true},
#endif
};

constexpr std::size_t mechanism_count = std::size(mechanisms);

const char* named_by_environment() noexcept {
    const char* name = std::getenv("SELECTORS_BACKEND");
    return name && *name ? name : nullptr;
}

std::string known_names() {
    std::string names;
    for (const mechanism& each : mechanisms)
        names += (names.empty() ? "" : ", ") + std::string{each.name};
    return names;
}

/// A mechanism that is not there, by the kernel's age or a sandbox's will. That nothing is left just now
/// (descriptors, memory) says nothing of the mechanism.
bool is_refusal(const std::system_error& failed) noexcept {
    return failed.code() == std::errc::function_not_supported ||
           failed.code() == errc::permission_denied;
}

/// Opened once to see: a sandbox may refuse what the kernel has.
std::array<backend_info, mechanism_count> look() {
    std::array<backend_info, mechanism_count> seen{};
    for (std::size_t i = 0; i < mechanism_count; ++i) {
        const mechanism& m = mechanisms[i];
        seen[i] = {m.name, true, false, m.good_for, m.limit, m.precision, m.priority};
        try {
            mechanisms[i].make();
        } catch (const std::system_error& refused) {
            if (!is_refusal(refused)) continue;
            static std::array<std::string, mechanism_count> reasons;
            reasons[i] = std::string{"the system refuses it: "} + refused.what();
            seen[i].available = false;
            seen[i].reason = reasons[i].c_str();
        }
    }
    const char* asked = named_by_environment();
    backend_info* best = nullptr;
    for (backend_info& each : seen) {
        if (!each.available) continue;
        if (!best || (asked && std::string_view{each.name} == asked)) best = &each;
    }
    if (best) best->chosen = true;
    return seen;
}

}  // namespace

backend::~backend() = default;

std::span<const backend_info> backends() {
    static const auto seen = look();
    return seen;
}

backend_handle open_backend(std::string_view name) {
    for (const mechanism& each : mechanisms)
        if (name == each.name) return each.make();
    throw std::invalid_argument("no backend is called \"" + std::string{name} +
                                "\"; this platform has: " + known_names());
}

backend_handle open_backend() {
    if (const char* asked = named_by_environment()) {
        try {
            return open_backend(asked);
        } catch (const std::invalid_argument& unknown) {
            throw std::invalid_argument(std::string{"SELECTORS_BACKEND: "} + unknown.what());
        } catch (const std::system_error& refused) {
            if (!is_refusal(refused)) throw;  // else the default goes on without it
        }
    }
    for (const mechanism& each : mechanisms) {
        const bool last = &each == &mechanisms[mechanism_count - 1];
        try {
            return each.make();
        } catch (const std::system_error& refused) {
            if (last || !is_refusal(refused)) throw;
        }
    }
    std::abort();  // the loop returns or throws
}

}  // namespace selectors
