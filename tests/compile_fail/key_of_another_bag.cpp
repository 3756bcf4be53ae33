// A key fits bags of its own type of data.
// error: no matching (member )?function
#include <selectors/selector.hpp>

#ifdef CONTROL
using other = int;
#else
using other = long;
#endif

void park(selectors::selector<int>& bag, const selectors::key<other>& which) {
    bag.modify(which, selectors::event::none);
}
