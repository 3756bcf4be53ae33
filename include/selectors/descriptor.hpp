// selectors/descriptor.hpp - what the operating system calls the things in the bag.
//
//     native_handle fd = ::eventfd(0, EFD_CLOEXEC);
//     bag.add(fd, event::read);                 // anything that can be waited for, not only sockets
#pragma once

#include <cstdint>

namespace selectors {

#if defined(_WIN32)
using native_handle = std::uintptr_t;  ///< a SOCKET
#else
using native_handle = int;  ///< a file descriptor
#endif

/// Names no descriptor.
inline constexpr native_handle invalid_handle = static_cast<native_handle>(-1);

}  // namespace selectors
