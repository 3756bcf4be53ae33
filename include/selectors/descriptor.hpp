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

/// Whether the number can name a descriptor at all, open or not: none of the negative ones does.
constexpr bool can_be_open(native_handle descriptor) noexcept {
    return static_cast<std::intptr_t>(descriptor) >= 0;
}

namespace detail {

/// Whose slot it is. A Unix descriptor is a small number, and its slot has the same: nothing is kept. A
/// SOCKET is any number, and its slot the next that is free.
class occupant {
  public:
    constexpr occupant() noexcept = default;
    friend constexpr bool operator==(occupant, occupant) noexcept = default;
#if defined(_WIN32)
    constexpr explicit occupant(native_handle descriptor) noexcept : descriptor_{descriptor} {}
    constexpr native_handle of(std::uint32_t) const noexcept { return descriptor_; }

  private:
    native_handle descriptor_ = invalid_handle;
#else
    constexpr explicit occupant(native_handle) noexcept {}
    /// The descriptor of the slot that keeps this.
    static constexpr native_handle of(std::uint32_t slot) noexcept {
        return static_cast<native_handle>(slot);
    }
#endif
};

}  // namespace detail

}  // namespace selectors
