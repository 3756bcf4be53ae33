// A bag holds one type of data.
// error: no matching (member )?function
#include <selectors/selector.hpp>

struct connection {};
struct timer {};

auto add(selectors::selector<connection>& bag, selectors::socket_view what) {
#ifdef CONTROL
    return bag.add(what, selectors::event::read, connection{});
#else
    return bag.add(what, selectors::event::read, timer{});
#endif
}
