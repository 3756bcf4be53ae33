// A descriptor has one owner.
// error: deleted (function|constructor)|copy constructor of
#include <utility>

#include <selectors/socket.hpp>

selectors::socket second_owner(selectors::socket& first) {
#ifdef CONTROL
    return std::move(first);
#else
    return first;
#endif
}
