// platform.hpp - what the program asks of the platform beside the library: posix.cpp and windows.cpp.
#pragma once

#include <span>

#include <selectors/socket.hpp>

namespace app {

/// Started with stdin, stdout or stderr closed, a program would get a socket in their place and print
/// to a peer.
void occupy_standard_descriptors();

/// The soft limit protects programs that use select(2) with its fixed bit arrays; this is none.
void lift_descriptor_limit();

/// stdin, for a bag.
class keyboard {
  public:
    keyboard();
    /// Readable when something was typed, or stdin has ended.
    selectors::socket_view view() const noexcept { return readable_; }
    /// 0 at the end; errc::would_block for nothing yet.
    selectors::result<std::size_t> read(std::span<char> room) const;

  private:
    selectors::socket_view readable_;
};

}  // namespace app
