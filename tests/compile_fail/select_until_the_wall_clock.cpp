// A deadline is of the steady clock: the wall clock may jump.
// error: (cannot convert|no matching|no viable conversion)
#include <chrono>

#include <selectors/selector.hpp>

bool nothing(selectors::selector<>& bag) {
#ifdef CONTROL
    using clock = std::chrono::steady_clock;
#else
    using clock = std::chrono::system_clock;
#endif
    return bag.select_until(clock::now() + std::chrono::seconds{1}).empty();
}
