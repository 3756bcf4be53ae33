// loop/subscription.hpp - who is told of a signal: one bell a loop, a handle and a number.
//
// The list of them all is the process's, since signal handlers are. A handler walks it without a lock, on
// whatever thread the signal interrupted; meanwhile others may be put in or taken out. Taking out
// waits until every handler that may have seen it has left, as read-copy-update has it.
//
// Source: P. E. McKenney, Is Parallel Programming Hard, And, If So, What Can You Do About It?, chapter 9.
#pragma once

#include <atomic>

#include "loop/bell.hpp"

namespace selectors::detail {

struct subscription : bell {
    subscription(loop_state& on, reader to, int signal_number) noexcept
        : bell{on, to}, number{signal_number} {}

    int number;
    bool listed = false;
    std::atomic<subscription*> next_listed = nullptr;
};

/// From now on its number rings it. Any thread, but not in a signal handler. Throws std::system_error, and
/// nothing was subscribed.
void subscribe(subscription& to);
/// Nobody rings it when this returns. What is not subscribed stays so.
void unsubscribe(subscription& from) noexcept;

}  // namespace selectors::detail
