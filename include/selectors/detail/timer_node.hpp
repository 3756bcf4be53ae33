// selectors/detail/timer_node.hpp - what a timer has in it for the loop's wheel.
//
// Not for use. The wheel links the nodes of armed timers and owns none of them: arming allocates nothing.
#pragma once

#include <chrono>

namespace selectors::detail {

struct timer_node {
    timer_node* next = nullptr;  ///< none: not armed
    timer_node* previous = nullptr;
    std::chrono::steady_clock::time_point deadline{};
};

}  // namespace selectors::detail
