// system/process.hpp - signals, and the ends of processes: posix_process.cpp and windows_process.cpp.
#pragma once

#include <atomic>
#include <csignal>
#include <cstdint>
#include <optional>

#include <selectors/child.hpp>

#include "system/system.hpp"

namespace selectors::sys {

// --- signals -------------------------------------------------------------------------------------

/// Null if it can be caught; else why not, as the end of a sentence that begins with its number.
const char* why_not_catchable(int number) noexcept;

/// Called in signal handlers, or in threads of the system's, any number of them at a time.
using signal_handler = void (*)(int number) noexcept;

/// From now on `told` is called for each signal of that number, the same for all numbers, and then the
/// handler that was there before. One thread at a time, as `release_signal`; each number once.
result<void> catch_signal(int number, signal_handler told) noexcept;
/// Puts back what was there before, unless somebody has put a handler in place of ours meanwhile.
void release_signal(int number) noexcept;

/// This thread is interrupted by no signal while it lives.
class signals_blocked {
  public:
    signals_blocked() noexcept;
    signals_blocked(const signals_blocked&) = delete;
    signals_blocked& operator=(const signals_blocked&) = delete;
    ~signals_blocked();

#if !defined(_WIN32)
  private:
    sigset_t before_;
#endif
};

// --- processes -----------------------------------------------------------------------------------

/// The signal that tells the end of some child; 0 where there is none.
extern const int child_signal;

/// A child, or on Windows any process. Tells of its end in one of three ways, the first that there is: by
/// a descriptor, by a call, by `child_signal`.
class process {
  public:
    /// Throws std::system_error if it is no child of this process.
    explicit process(std::int64_t number);
    process(const process&) = delete;
    process& operator=(const process&) = delete;
    ~process() { stop(); }

    /// Readable when it has ended; invalid_handle where there is none.
    native_handle descriptor() const noexcept { return descriptor_.get(); }
    /// The same, to be closed by the caller.
    native_handle release_descriptor() noexcept { return descriptor_.release(); }

    using call = void (*)(void* with) noexcept;
    /// True if it calls that, once, in a thread of the system's, when the process has ended. Throws
    /// std::system_error.
    bool call_at_end(call told, void* with);
    /// Calls it no more, and is not calling it when this returns. The last that is asked of it.
    void stop() noexcept;

    /// How it has ended, once; nothing while it runs. Reaps it. Fails if somebody else has done so.
    result<std::optional<exit_status>> look() noexcept;

  private:
    owned descriptor_{invalid_handle};
    std::int64_t number_;
#if defined(_WIN32)
    void* handle_ = nullptr;
    void* waiting_ = nullptr;
    call told_ = nullptr;
    void* with_ = nullptr;
#endif
};

/// A descriptor that is readable when the process has ended, where the system has such.
result<native_handle> open_process(std::int64_t number) noexcept;

}  // namespace selectors::sys
