// One bag, one kernel set: it moves and does not copy.
// error: deleted (function|constructor)|copy constructor of
#include <utility>

#include <selectors/selector.hpp>

selectors::selector<> second_bag(selectors::selector<>& first) {
#ifdef CONTROL
    return std::move(first);
#else
    return first;
#endif
}
