// selectors/signals.hpp - a callback for signals, in the loop's turn, as long as the handle lives.
//
//     sel::signals quit{loop, {SIGINT, SIGTERM}, [&](int number) { loop.stop(); }};
//
// Not a signal handler: it is called like any other callback, and may do whatever those may. Many of one
// number that come before it is called are one call; of different numbers each is told, in the order in
// which they came.
//
// The process has one handler a number, and the library's gets along with others: any number of loops and
// handles may want the same signal, and all are told, the oldest first; whoever had a handler there before is called, too, in
// the signal handler. With the last handle of a number goes the library's handler, and what was there
// before comes back; unless somebody has put another there meanwhile, which stays. It should call ours then.
// Where a signal had its default effect, or was ignored, that is off meanwhile.
//
// A forked child has its parent's handlers, and its copy of the loop is told of its own signals.
//
// Windows: SIGINT is Ctrl-C, SIGBREAK Ctrl-Break; SIGTERM is the end of the console's window or of the
// session, and ten seconds later at most that of the process. Earlier handlers are not called.
//
// Lifetime: destroying or assigning to it ends it, also from inside its own callback, whose captures live
// until it returns; what had come and was not told yet is not told. It may outlive its loop, and is silent
// then. Threads: the loop's, in none of whose signal handlers; signals may come on any.
// Source: sigaction(2), signal-safety(7).
#pragma once

#include <initializer_list>
#include <source_location>
#include <span>
#include <utility>

#include <selectors/callback.hpp>
#include <selectors/export.hpp>

namespace selectors {

class loop;
namespace detail {
struct signals_node;
}

class SELECTORS_API signals {
  public:
    using location = std::source_location;

    /// Of no loop: is told nothing.
    signals() noexcept = default;
    /// Tells of each of the numbers. Throws std::invalid_argument for one that is no signal, cannot be
    /// caught (SIGKILL, SIGSTOP) or is a fault of the program itself (SIGSEGV, SIGBUS, SIGFPE, SIGILL), and
    /// std::system_error if the system refuses; then nothing has changed.
    signals(loop& on, std::span<const int> numbers, callback<void(int)> tell,
            location where = location::current());
    signals(loop& on, std::initializer_list<int> numbers, callback<void(int)> tell,
            location where = location::current())
        : signals{on, std::span<const int>{numbers.begin(), numbers.size()}, std::move(tell), where} {}
    signals(signals&& other) noexcept : node_{std::exchange(other.node_, nullptr)} {}
    signals& operator=(signals&& other) noexcept {
        signals ended{std::move(other)};
        std::swap(node_, ended.node_);
        return *this;
    }
    ~signals() {
        if (node_) end(node_);
    }

    /// Whether it is told of anything: false for one that was moved from, or whose loop is gone.
    explicit operator bool() const noexcept;

  private:
    static void end(detail::signals_node* node) noexcept;

    detail::signals_node* node_ = nullptr;
};

}  // namespace selectors
