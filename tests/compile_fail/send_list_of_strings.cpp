// A list of strings is not contiguous text.
// error: no matching (member )?function
#include <string>
#include <vector>

#include <selectors/socket.hpp>

auto send_lines(selectors::socket_view peer, const std::vector<std::string>& lines) {
#ifdef CONTROL
    return peer.send(lines.front());
#else
    return peer.send(lines);
#endif
}
