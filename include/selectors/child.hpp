// selectors/child.hpp - a callback for the end of a child process, as long as the handle lives.
//
//     pid_t pid = fork();                               // or posix_spawn, or whatever else makes one
//     ...
//     sel::child worker{loop, pid, [&](sel::exit_status how) {
//         if (how.signal) std::printf("signal %d killed it\n", how.signal);
//         else std::printf("it returned %d\n", how.code);
//     }};
//
// Tells once, and reaps it; no other child is touched. One that has ended already is told of in the next
// turn. Nobody else must wait for it meanwhile, by wait(2) for any child or a second handle, and SIGCHLD
// must not be ignored: then the answer may be gone, and `exit_status::unknown` is told. So it is in a process
// that was forked from this one, whose child it is not.
//
// By a pidfd, which is one descriptor a child, where the kernel has them (Linux 5.3) and one is to be had;
// else by SIGCHLD, as signals.hpp has it, whose every arrival costs a system call for each child.
// On Windows any process whose number is known is told of, while that is valid: until it has ended and the
// last handle of it is closed.
//
// Lifetime: destroying or assigning to it ends the telling, also from inside its own callback, whose
// captures live until it returns. A child that was not told of is then the program's to wait for. It may
// outlive its loop, and is silent then. Threads: the loop's.
// Source: pidfd_open(2), waitpid(2).
#pragma once

#include <cstdint>
#include <source_location>
#include <utility>

#include <selectors/callback.hpp>
#include <selectors/export.hpp>

namespace selectors {

class loop;
namespace detail {
struct child_node;
}

/// How a process has ended.
struct exit_status {
    int code = 0;    ///< what it returned; -1 if it was killed
    int signal = 0;  ///< what killed it; 0 if it returned. Always 0 on Windows

    /// Somebody else has taken the answer.
    static constexpr exit_status unknown() noexcept { return {-1, 0}; }
    friend bool operator==(const exit_status&, const exit_status&) = default;
};

class SELECTORS_API child {
  public:
    using location = std::source_location;

    /// Of no process: tells nothing.
    child() noexcept = default;
    /// Tells of the end of the child with that number. Throws std::invalid_argument for one that is not
    /// above zero, std::system_error if it is no child of this process or the system refuses.
    child(loop& on, std::int64_t process, callback<void(exit_status)> ended,
          location where = location::current());
    child(child&& other) noexcept : node_{std::exchange(other.node_, nullptr)} {}
    child& operator=(child&& other) noexcept {
        child ended{std::move(other)};
        std::swap(node_, ended.node_);
        return *this;
    }
    ~child() {
        if (node_) end(node_);
    }

    /// Whether it will tell: false when it has told, was moved from, or its loop is gone.
    explicit operator bool() const noexcept;

  private:
    static void end(detail::child_node* node) noexcept;

    detail::child_node* node_ = nullptr;
};

}  // namespace selectors
