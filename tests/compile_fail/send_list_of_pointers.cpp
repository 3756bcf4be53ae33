// The bytes of pointers mean nothing to the peer.
// error: no matching (member )?function
#include <selectors/socket.hpp>

auto send_names(selectors::socket_view peer) {
    const char* names[] = {"Ada", "Grace"};
#ifdef CONTROL
    const selectors::const_buffer parts[] = {std::string_view{names[0]}, std::string_view{names[1]}};
    return peer.send(parts);
#else
    return peer.send(names);
#endif
}
