// A string_view is for reading.
// error: no matching (member )?function
#include <string>
#include <string_view>

#include <selectors/socket.hpp>

#ifdef CONTROL
auto read(selectors::socket_view peer, std::string& room) {
#else
auto read(selectors::socket_view peer, std::string_view room) {
#endif
    return peer.recv(room);
}
