// Nobody becomes the owner of a descriptor by accident.
// error: (could not convert|no viable conversion)
#include <selectors/socket.hpp>

selectors::socket adopt(selectors::native_handle descriptor) {
#ifdef CONTROL
    return selectors::socket{descriptor};
#else
    return descriptor;
#endif
}
