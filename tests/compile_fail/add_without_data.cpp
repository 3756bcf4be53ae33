// Data without a default must be given.
// error: no matching (member )?function
#include <selectors/selector.hpp>

struct connection {
    explicit connection(int number);
};

auto add(selectors::selector<connection>& bag, selectors::socket_view what) {
#ifdef CONTROL
    return bag.add(what, selectors::event::read, connection{1});
#else
    return bag.add(what, selectors::event::read);
#endif
}
