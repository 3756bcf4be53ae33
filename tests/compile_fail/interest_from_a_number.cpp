// Interests are events; EPOLLIN, POLLIN and 1 are not.
// error: no matching (member )?function
#include <selectors/selector.hpp>

auto add(selectors::selector<>& bag, selectors::socket_view what) {
#ifdef CONTROL
    return bag.add(what, selectors::event::read);
#else
    return bag.add(what, 1);
#endif
}
