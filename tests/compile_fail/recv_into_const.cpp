// What is read needs memory that may be written to.
// error: no matching (member )?function
#include <array>

#include <selectors/socket.hpp>

auto read(selectors::socket_view peer) {
#ifdef CONTROL
    std::array<char, 16> room{};
#else
    const std::array<char, 16> room{};
#endif
    return peer.recv(room);
}
