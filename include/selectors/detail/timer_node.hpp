// selectors/detail/timer_node.hpp - what a timer has in it for the loop's wheel.
//
// Not for use. The wheel links the nodes of timers and owns none of them: arming allocates nothing.
#pragma once

#include <chrono>
#include <cstdint>

namespace selectors::detail {

/// Among many timers each is a cache miss. What it mostly comes to, a later deadline, touches the first 16 bytes
/// alone, which lie in one cache line because a timer is aligned to that.
struct timer_node {
    /// The flags.
    static constexpr std::uintptr_t armed = 1;  ///< the wheel links it
    static constexpr std::uintptr_t beats =
        2;  ///< the loop's, and arming anew clears it: only of one armed
    static constexpr std::uintptr_t flags = 3;

    bool has(std::uintptr_t flag) const noexcept { return (owner & flag) != 0; }

    std::chrono::steady_clock::time_point deadline{};
    std::uintptr_t owner = 0;  ///< an address of the user's, or null, and the flags in its lowest bits
    timer_node* next = nullptr;
    timer_node* previous = nullptr;
};

}  // namespace selectors::detail
