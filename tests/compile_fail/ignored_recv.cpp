// How much arrived, or that nothing did, is not to be ignored.
// error: (ignoring return value|discarding|unused-result)
#include <array>

#include <selectors/socket.hpp>

void read(selectors::socket_view peer) {
    std::array<char, 16> room;
#ifdef CONTROL
    auto size [[maybe_unused]] = peer.recv(room);
#else
    peer.recv(room);
#endif
}
