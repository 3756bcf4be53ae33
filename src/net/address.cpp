#include <algorithm>
#include <charconv>
#include <cstring>

#include <selectors/address.hpp>

#include "system/net_headers.hpp"
#include "system/system.hpp"

namespace selectors {
namespace {

static_assert(sizeof(sockaddr_un) <= 112 && sizeof(sockaddr_in6) <= 112);

constexpr std::size_t path_offset = offsetof(sockaddr_un, sun_path);
constexpr std::size_t path_room = sizeof(sockaddr_un::sun_path);

/// The stored bytes as one of the system's structures; copied, for they are only bytes here.
template <class Native>
Native as(const address& from) noexcept {
    Native native{};
    std::memcpy(&native, from.data(), std::min(sizeof native, from.size()));
    return native;
}

template <class Native>
address from(const Native& native) noexcept {
    return address::from_native(&native, sizeof native);
}

std::unexpected<std::error_code> no_address(address_error why) noexcept {
    return std::unexpected{make_error_code(why)};
}

result<std::uint16_t> parse_port(std::string_view text) noexcept {
    if (text.empty()) return no_address(address_error::missing_port);
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc{} || end != text.data() + text.size())
        return no_address(address_error::bad_port);
    return port;
}

/// An interface's name or number; 0 is none.
result<std::uint32_t> parse_scope(std::string_view text) noexcept {
    std::uint32_t scope = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), scope);
    if (error == std::errc{} && end == text.data() + text.size() && scope != 0) return scope;
    if (const unsigned found = sys::interface_number(text)) return found;
    return no_address(address_error::bad_scope);
}

result<address> parse_ipv6(std::string_view host, std::uint16_t port) noexcept {
    sockaddr_in6 native{};
    native.sin6_family = AF_INET6;
    native.sin6_port = htons(port);
    const auto percent = host.find('%');
    if (percent != host.npos) {
        const auto scope = parse_scope(host.substr(percent + 1));
        if (!scope) return std::unexpected{scope.error()};
        native.sin6_scope_id = *scope;
        host = host.substr(0, percent);
    }
    char text[INET6_ADDRSTRLEN] = {};
    if (host.size() >= sizeof text) return no_address(address_error::bad_host);
    std::copy(host.begin(), host.end(), text);
    if (::inet_pton(AF_INET6, text, &native.sin6_addr) != 1) return no_address(address_error::bad_host);
    return from(native);
}

bool is_path(std::string_view text) noexcept {
    return text.starts_with('/') || text.starts_with("./") || text.starts_with("../");
}

class address_errors final : public std::error_category {
  public:
    const char* name() const noexcept override { return "address"; }

    std::string message(int code) const override {
        switch (static_cast<address_error>(code)) {
        case address_error::empty:
            return "the address is empty; write host:port, [ipv6]:port or a path like /run/app.sock";
        case address_error::missing_port: return "the port is missing; write host:port or [ipv6]:port";
        case address_error::bad_port: return "the port is not a number from 0 to 65535";
        case address_error::bad_host:
            return "the host is not a numeric address; write 127.0.0.1 or [::1], or resolve the name";
        case address_error::bad_scope:
            return "no network interface has that name or number; see what follows the %";
        case address_error::unclosed_bracket: return "a bracket is missing; write [ipv6]:port";
        case address_error::host_too_long: return "the host name is longer than 254 characters";
        case address_error::embedded_nul: return "there is a NUL character in the address";
        case address_error::path_too_long:
            return "the path of the Unix socket is longer than the system's 107 bytes; use a shorter "
                   "one, or a relative one";
        case address_error::not_supported: return "this system has no addresses of that kind";
        case address_error::not_found: return "the host name is not known; check its spelling";
        case address_error::no_resolver:
            return "the name resolver does not answer; try again later, or write a numeric address";
        }
        return "unknown address error";
    }
};

}  // namespace

std::error_code make_error_code(address_error error) noexcept {
    static const address_errors category;
    return {static_cast<int>(error), category};
}

address address::any(std::uint16_t port, family kind) noexcept {
    if (kind == family::ipv6) {
        sockaddr_in6 native{};
        native.sin6_family = AF_INET6;
        native.sin6_port = htons(port);
        return from(native);
    }
    sockaddr_in native{};
    native.sin_family = AF_INET;
    native.sin_port = htons(port);
    return from(native);
}

address address::loopback(std::uint16_t port, family kind) noexcept {
    address made = any(port, kind);
    if (kind == family::ipv6) {
        auto native = as<sockaddr_in6>(made);
        native.sin6_addr = IN6ADDR_LOOPBACK_INIT;
        return from(native);
    }
    auto native = as<sockaddr_in>(made);
    native.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return from(native);
}

result<address> address::unix_path(std::string_view path) noexcept {
    if (path.empty() || path == std::string_view{"\0", 1}) return no_address(address_error::empty);
    const bool abstract = path.front() == '\0';
#if !defined(__linux__)
    if (abstract) return no_address(address_error::not_supported);
#endif
    if (!abstract && path.find('\0') != path.npos) return no_address(address_error::embedded_nul);
    // A path keeps its final NUL; an abstract name may fill the room (unix(7)).
    if (path.size() > (abstract ? path_room : path_room - 1))
        return no_address(address_error::path_too_long);
    sockaddr_un native{};
    native.sun_family = AF_UNIX;
    std::copy(path.begin(), path.end(), native.sun_path);
    return from_native(&native, path_offset + path.size() + (abstract ? 0 : 1));
}

result<address> address::parse(std::string_view text) noexcept {
    if (text.empty()) return no_address(address_error::empty);
    if (text.starts_with("unix:")) return unix_path(text.substr(5));
    if (text.starts_with('@')) {
        char name[path_room] = {};
        if (text.size() > sizeof name) return no_address(address_error::path_too_long);
        std::copy(text.begin() + 1, text.end(), name + 1);
        return unix_path({name, text.size()});
    }
    if (is_path(text)) return unix_path(text);
    if (text.find('\0') != text.npos) return no_address(address_error::embedded_nul);

    if (text.starts_with('[')) {
        const auto closing = text.find(']');
        if (closing == text.npos) return no_address(address_error::unclosed_bracket);
        const std::string_view rest = text.substr(closing + 1);
        if (!rest.starts_with(':')) return no_address(address_error::missing_port);
        const auto port = parse_port(rest.substr(1));
        if (!port) return std::unexpected{port.error()};
        return parse_ipv6(text.substr(1, closing - 1), *port);
    }
    const auto colon = text.rfind(':');
    if (colon == text.npos) return no_address(address_error::missing_port);
    // An IPv6 address without brackets: where its port begins nobody can say.
    if (text.find(':') != colon) return no_address(address_error::unclosed_bracket);
    const auto port = parse_port(text.substr(colon + 1));
    if (!port) return std::unexpected{port.error()};
    return parse(text.substr(0, colon), *port);
}

result<address> address::parse(std::string_view host, std::uint16_t port) noexcept {
    if (host.empty()) return no_address(address_error::empty);
    if (host.size() > max_host) return no_address(address_error::host_too_long);
    if (host.find('\0') != host.npos) return no_address(address_error::embedded_nul);
    if (host.find(':') != host.npos) return parse_ipv6(host, port);
    sockaddr_in native{};
    native.sin_family = AF_INET;
    native.sin_port = htons(port);
    char text[INET_ADDRSTRLEN] = {};
    if (host.size() >= sizeof text) return no_address(address_error::bad_host);
    std::copy(host.begin(), host.end(), text);
    if (::inet_pton(AF_INET, text, &native.sin_addr) != 1) return no_address(address_error::bad_host);
    return from(native);
}

family address::kind() const noexcept {
    if (size_ == 0) return family::none;
    switch (as<sockaddr>(*this).sa_family) {
    case AF_INET: return family::ipv4;
    case AF_INET6: return family::ipv6;
    case AF_UNIX: return family::unix_domain;
    default: return family::none;
    }
}

std::uint16_t address::port() const noexcept {
    switch (kind()) {
    case family::ipv4: return ntohs(as<sockaddr_in>(*this).sin_port);
    case family::ipv6: return ntohs(as<sockaddr_in6>(*this).sin6_port);
    default: return 0;
    }
}

address address::with_port(std::uint16_t port) const noexcept {
    if (kind() == family::ipv4) {
        auto native = as<sockaddr_in>(*this);
        native.sin_port = htons(port);
        return from(native);
    }
    if (kind() == family::ipv6) {
        auto native = as<sockaddr_in6>(*this);
        native.sin6_port = htons(port);
        return from(native);
    }
    return *this;
}

std::string address::host() const {
    char text[INET6_ADDRSTRLEN] = {};
    switch (kind()) {
    case family::ipv4: {
        const auto native = as<sockaddr_in>(*this);
        return ::inet_ntop(AF_INET, &native.sin_addr, text, sizeof text);
    }
    case family::ipv6: {
        const auto native = as<sockaddr_in6>(*this);
        std::string host = ::inet_ntop(AF_INET6, &native.sin6_addr, text, sizeof text);
        if (native.sin6_scope_id != 0) {
            const std::string name = sys::interface_name(native.sin6_scope_id);
            host += '%' + (name.empty() ? std::to_string(native.sin6_scope_id) : name);
        }
        return host;
    }
    case family::unix_domain: {
        const auto native = as<sockaddr_un>(*this);
        const std::size_t length = size_ - path_offset;
        if (length > 0 && native.sun_path[0] == '\0') return {native.sun_path, length};
        return {native.sun_path, ::strnlen(native.sun_path, length)};
    }
    case family::none: break;
    }
    return {};
}

std::string address::text() const {
    std::string name = host();
    switch (kind()) {
    case family::ipv4: return name + ":" + std::to_string(port());
    case family::ipv6: return "[" + name + "]:" + std::to_string(port());
    case family::unix_domain:
        if (name.empty()) return "(unnamed)";
        if (name.front() == '\0') return "@" + name.substr(1);
        return is_path(name) ? name : "unix:" + name;
    case family::none: break;
    }
    return "(none)";
}

address address::from_native(const void* data, std::size_t size) noexcept {
    address made;
    if (size < sizeof(sockaddr::sa_family) || size > sizeof made.storage_) return made;
    std::memcpy(made.storage_, data, size);
    made.size_ = static_cast<std::uint8_t>(size);
    const family kind = made.kind();
    const bool whole = (kind == family::ipv4 && size >= sizeof(sockaddr_in)) ||
                       (kind == family::ipv6 && size >= sizeof(sockaddr_in6)) ||
                       (kind == family::unix_domain && size >= path_offset);
    return whole ? made : address{};
}

bool operator==(const address& a, const address& b) noexcept {
    return a.size_ == b.size_ && std::memcmp(a.storage_, b.storage_, a.size_) == 0;
}

}  // namespace selectors
