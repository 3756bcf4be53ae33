// The socket that comes back is the connection.
// error: (ignoring return value|discarding|unused-result)
#include <selectors/socket.hpp>

void call(const selectors::address& peer) {
#ifdef CONTROL
    auto connection [[maybe_unused]] = selectors::connect(peer);
#else
    selectors::connect(peer);
#endif
}
