// A callback owns what it captured.
// error: deleted (function|constructor)|copy constructor of
#include <utility>

#include <selectors/callback.hpp>

using callback = selectors::callback<void()>;

callback second_owner(callback& first) {
#ifdef CONTROL
    return std::move(first);
#else
    return first;
#endif
}
