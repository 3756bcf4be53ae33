// backend/mechanisms.hpp - the mechanisms of this library, one function each.
//
// Each throws std::system_error if the system refuses. Which are built for a platform is decided in
// cmake/platform.cmake; which one a bag gets, in registry.cpp.
#pragma once

#include <selectors/backend.hpp>

namespace selectors {

backend_handle make_afd();
backend_handle make_epoll();
backend_handle make_kqueue();
backend_handle make_poll();
backend_handle make_uring();
backend_handle make_select();

}  // namespace selectors
