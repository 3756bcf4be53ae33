// selectors/observer.hpp - what a loop does, to be watched.
//
// Counters every loop keeps: `loop.stats()`. Who wants more hands the loop an observer, which is then told
// of every turn and every callback; without one that costs a comparison a callback.
//
//     struct slow_callbacks : sel::loop_observer {
//         void callback_ends(const sel::callback_info& what) override {
//             if (what.took > 10ms) std::fprintf(stderr, "%s:%u took long\n", what.where.file_name(),
//                                                what.where.line());
//         }
//     } watcher;
//     loop.observe(&watcher);
//
// Threads: the loop's.
#pragma once

#include <chrono>
#include <cstdint>
#include <source_location>

#include <selectors/export.hpp>

namespace selectors {

/// What a loop has done since it was made.
struct loop_stats {
    std::uint64_t turns = 0;
    std::uint64_t waits = 0;     ///< turns that asked the system; the others had enough to do
    std::uint64_t events = 0;    ///< readiness told to watches, and completed operations
    std::uint64_t posts = 0;     ///< posted callbacks that were run, and signals
    std::uint64_t deferred = 0;  ///< deferred callbacks that were run
    std::uint64_t timers = 0;    ///< timers that fired
    std::uint64_t accepts = 0;   ///< connections that listeners handed on
    std::uint64_t sheds = 0;     ///< connections that listeners closed for want of descriptors
    std::uint64_t pauses = 0;    ///< times that listeners stopped accepting for want of something
    std::uint64_t aborted = 0;   ///< connections that were gone before they were accepted
};

/// One callback, to an observer.
struct callback_info {
    const char* kind;  ///< "watch", "timer", "post", "defer", "listener", "drain", "signal", "child"
    std::source_location where;      ///< where it was handed to the loop
    std::chrono::nanoseconds delay;  ///< from when the loop knew that it was due to its beginning
    std::chrono::nanoseconds took;   ///< how long it ran; zero at its beginning
};

/// Told of what a loop does, as it does it. Must not throw.
class SELECTORS_API loop_observer {
  public:
    virtual ~loop_observer();
    virtual void turn_begins(std::chrono::steady_clock::time_point) {}
    /// `callbacks`: how many ran in this turn. Not told of a turn that an exception ended.
    virtual void turn_ends(std::chrono::steady_clock::time_point, std::uint64_t /*callbacks*/) {}
    virtual void callback_begins(const callback_info&) {}
    /// Also of a callback that threw.
    virtual void callback_ends(const callback_info&) {}
};

}  // namespace selectors
