// A stream may take less than it was given.
// error: (ignoring return value|discarding|unused-result)
#include <selectors/socket.hpp>

void greet(selectors::socket_view peer) {
#ifdef CONTROL
    auto size [[maybe_unused]] = peer.send("hello\n");
#else
    peer.send("hello\n");
#endif
}
