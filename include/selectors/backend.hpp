// selectors/backend.hpp - the port that every mechanism fills.
//
// A backend knows one way of asking the operating system which descriptors are ready, and nothing
// else. The bag above it keeps the books: who is registered, what is deferred, parked, spent, stale;
// files that are always ready never get here. That is why a mechanism is a page of code, and why all
// of them behave alike.
//
//     for (const backend_info& each : backends())
//         std::printf("%s: %s\n", each.name, each.available ? "yes" : each.reason);
//     sel::selector<> bag{"poll"};                          // by name
//     sel::selector<> own{backend_handle{new my_backend}};  // or your own
//
// Threads: one at a time, the bag's; `wake` alone may be called from any thread and any signal handler.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include <selectors/descriptor.hpp>
#include <selectors/event.hpp>
#include <selectors/export.hpp>
#include <selectors/result.hpp>

namespace selectors {

/// One descriptor as the kernel is to know it: armed, that is, with an interest that is not none.
struct registration {
    native_handle descriptor;
    std::uint32_t slot;        ///< given back with every notice
    std::uint32_t generation;  ///< given back with every notice; never 0
    event interest;            ///< of read, write and priority
    trigger mode;
    bool trusted;  ///< owned by a socket, and so open: `add` need not ask, and may be refused later
};

/// What a backend reports: of what was asked for, and error and hangup as the kernel has them; that
/// read and write stand beside those is the bag's work.
/// Laid out as x86-64's epoll_event, so that the kernel writes it in place.
struct notice {
    std::uint32_t events;  ///< event::bits()
    std::uint32_t slot;
    std::uint32_t generation;  ///< 0: the backend's own, nobody's

    /// In `events`, beside error: the system refused, after `add` or `modify` had returned, what they
    /// were asked for, and the backend has forgotten the descriptor.
    static constexpr std::uint32_t refused = 0x4000'0000;
};

/// How a descriptor was taken in.
enum class admission : std::uint8_t {
    watched,       ///< the kernel reports it
    always_ready,  ///< the kernel cannot wait for it (a regular file): the bag reports it itself
};

class SELECTORS_API backend {
  public:
    backend() = default;
    backend(const backend&) = delete;
    backend& operator=(const backend&) = delete;
    virtual ~backend();

    virtual const char* name() const noexcept = 0;

    /// Whether the mechanism has this trigger itself. `level` it always has; a `oneshot` that it
    /// lacks the bag emulates; the others are refused.
    virtual bool supports(trigger mode) const noexcept = 0;

    /// Begins to report a descriptor. Throws std::system_error with the call's name, and then knows
    /// nothing of the descriptor; errc::bad_descriptor for a closed one, whatever the mechanism. What
    /// a mechanism learns only later it says with the next wait: notice::refused.
    virtual admission add(const registration& wanted) = 0;

    /// Changes what is reported for a descriptor that was added, or arms a spent oneshot again.
    /// Throws as `add` does, and has then forgotten the descriptor.
    virtual void modify(const registration& wanted) = 0;

    /// Stops reporting; the descriptor may be closed already. False if the kernel did not know it
    /// under this number: its file may then live on elsewhere (dup, fork) and go on reporting, and
    /// the bag calls `reopen` as soon as it does.
    virtual bool remove(const registration& known) noexcept = 0;

    /// Whether the kernel forgets what is closed by itself. Then a key that is not exclusive may leave the bag without
    /// a call of `remove`; `add` may come for a number that is still in there, which is the new key's from then on; and
    /// `remove` comes when, and if, the kernel reports the old generation or has no room left: of its argument only the
    /// descriptor counts then.
    virtual bool forgets_what_is_closed() const noexcept { return false; }

    /// Waits for at most `timeout`; for ever if it is negative, not at all if it is zero. Returns how
    /// many notices it wrote: at most room.size() (never 0), one for each descriptor, each with at
    /// least one event of those asked for, or error or hangup. What did not fit comes first next
    /// time. May return early with none, as after a signal. Throws std::system_error.
    virtual std::size_t wait(std::span<notice> room, std::chrono::nanoseconds timeout) = 0;

    /// Makes the current or the next wait return. Async-signal-safe.
    virtual void wake() noexcept = 0;

    /// A descriptor that is readable while a wait would return at once, for whoever waits for the bag itself;
    /// invalid_handle where the mechanism has none. What the bag has deferred it knows with the next wait; ask the bag's
    /// own `descriptor`, which sees to it that nothing was left in there.
    virtual native_handle descriptor() const noexcept { return invalid_handle; }

    /// Forgets everything and begins anew with a kernel object of its own, as after a fork. Throws
    /// std::system_error if the system refuses, and is asked again.
    virtual void reopen() = 0;
};

/// Owns a backend.
class backend_handle {
  public:
    constexpr backend_handle() noexcept = default;
    constexpr explicit backend_handle(backend* owned) noexcept : owned_{owned} {}
    constexpr backend_handle(backend_handle&& other) noexcept
        : owned_{std::exchange(other.owned_, nullptr)} {}
    constexpr backend_handle& operator=(backend_handle&& other) noexcept {
        std::swap(owned_, other.owned_);
        return *this;
    }
    constexpr ~backend_handle() { delete owned_; }

    constexpr backend* operator->() const noexcept { return owned_; }
    constexpr backend& operator*() const noexcept { return *owned_; }
    constexpr explicit operator bool() const noexcept { return owned_ != nullptr; }

  private:
    backend* owned_ = nullptr;
};

/// What this library knows of a mechanism on this machine.
struct backend_info {
    const char* name;
    bool available;
    bool chosen;         ///< what a bag uses that names none
    const char* reason;  ///< one line: what it is good for, or why it is not there
    const char* limit;   ///< one line: how many descriptors it takes, and what sets that
    std::chrono::nanoseconds precision;  ///< of a timeout, which is rounded up to it
    bool priority;                       ///< whether it can report event::priority
};

/// Every mechanism of this library on this machine, the preferred first. Valid for ever.
SELECTORS_API std::span<const backend_info> backends();

/// The named mechanism. Throws std::invalid_argument for a name that is not known here,
/// std::system_error if the system refuses it (no descriptor left).
SELECTORS_API backend_handle open_backend(std::string_view name);

/// What SELECTORS_BACKEND names; without it, or if the system refuses that mechanism altogether, the best
/// there is. Throws as the other does.
SELECTORS_API backend_handle open_backend();

}  // namespace selectors
