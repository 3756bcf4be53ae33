// What cannot be called with these arguments is no such callback.
// error: (conversion from|could not convert|no viable conversion)
#include <selectors/callback.hpp>

selectors::callback<void(int)> measure() {
#ifdef CONTROL
    return [](int) {};
#else
    return [](int*) {};
#endif
}
