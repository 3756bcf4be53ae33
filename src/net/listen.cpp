// The two helpers that make a non-blocking socket in one call, and what a Unix path needs for it.
#include <string>

#include <selectors/socket.hpp>

#include "system/system.hpp"

namespace selectors {
namespace {

socket stream_socket(const address& where) {
    switch (where.kind()) {
    case family::unix_domain: return socket::unix_stream(nonblocking);
    case family::ipv4:
    case family::ipv6: return socket::tcp(where.kind(), nonblocking);
    case family::none: break;
    }
    throw std::invalid_argument("the address is empty; where should the socket go?");
}

/// Whether the path is a socket at which nobody listens: what a server leaves when it ends.
bool is_stale(const address& where, const std::string& path) {
    if (!sys::is_socket_file(path.c_str())) return false;
    const auto answer = socket::unix_stream(nonblocking).connect(where);
    return !answer && answer.error() == errc::refused;
}

std::string directory_of(const std::string& path) {
    return path.substr(0, path.rfind('/') + 1) + ".";
}

}  // namespace

socket listen(const address& where, int backlog) {
    return listen(where, exclusive_port, backlog);
}

socket listen(const address& where, port_use use, int backlog) {
    socket server = stream_socket(where);
    const std::string path = where.kind() == family::unix_domain ? where.host() : "";
    if (use == shared_port) {
        if (where.kind() == family::unix_domain)
            throw std::invalid_argument("the path " + where.text() +
                                        " cannot be shared: only TCP ports can; hand the socket over");
        server.set(option::reuse_port, 1);
    }
    if (path.empty() || path.front() == '\0') {
        if (path.empty()) server.set(option::reuse_address, 1);
        server.bind(where);
        server.listen(backlog);
    } else {
        // Bound and not yet listening, a socket looks stale; and two servers that find the same stale
        // file would delete each other's fresh one: one at a time in a directory.
        const sys::directory_lock lock{directory_of(path).c_str()};
        if (is_stale(where, path)) sys::remove_file(path.c_str());
        server.bind(where);
        server.listen(backlog);
    }
    return server;
}

socket listen(std::string_view host, std::uint16_t port, port_use use) {
    return listen(or_throw(resolve(host, port), ("listen on " + std::string{host}).c_str())[0], use);
}

socket listen(std::string_view text, port_use use) {
    return listen(or_throw(resolve(text), ("listen on " + std::string{text}).c_str())[0], use);
}

result<socket> connect(const address& peer) noexcept try {
    socket client = stream_socket(peer);
    if (auto begun = client.connect(peer); !begun && begun.error() != errc::in_progress)
        return std::unexpected{begun.error()};
    return client;
} catch (const std::system_error& refused) {
    return std::unexpected{refused.code()};
} catch (const std::exception&) {
    return std::unexpected{sys::error_of(std::errc::address_family_not_supported)};
}

}  // namespace selectors
