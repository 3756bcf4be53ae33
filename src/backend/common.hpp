// backend/common.hpp - what several mechanisms do alike.
#pragma once

#include <chrono>
#include <ctime>
#include <string>

#include "system/system.hpp"

namespace selectors {

/// A timeout that is not negative, as the kernel takes it. A year is the most: macOS and the BSDs refuse
/// more than three (itimerfix in their kernels).
inline timespec to_timespec(std::chrono::nanoseconds timeout) noexcept {
    constexpr std::chrono::hours a_year{365 * 24};
    if (timeout > a_year) timeout = a_year;
    const auto whole = std::chrono::floor<std::chrono::seconds>(timeout);
    return {static_cast<time_t>(whole.count()), static_cast<long>((timeout - whole).count())};
}

/// Throws EBADF for a descriptor that cannot be waited for. The waker's own are nobody's: they may have
/// the number of a key that was closed in the bag.
inline void require_open(native_handle descriptor, const sys::waker& waker) {
    if (waker.owns(descriptor) || !sys::is_open(descriptor))
        throw std::system_error(sys::error_of(std::errc::bad_file_descriptor),
                                std::string{sys::status_call} + " of descriptor " +
                                    std::to_string(descriptor));
}

}  // namespace selectors
