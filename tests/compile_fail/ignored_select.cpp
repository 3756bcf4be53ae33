// Who asks which are ready looks at the answer.
// error: (ignoring return(ed)? value|discarding|unused-result)
#include <selectors/selector.hpp>

void wait(selectors::selector<>& bag) {
#ifdef CONTROL
    for ([[maybe_unused]] auto [key, events] : bag.select()) {
    }
#else
    bag.select();
#endif
}
