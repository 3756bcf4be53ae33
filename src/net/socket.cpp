#include <algorithm>
#include <limits>
#include <string>

#include <selectors/socket.hpp>

#include "system/net_headers.hpp"
#include "system/system.hpp"

namespace selectors {
namespace {

const sockaddr* native(const address& where) noexcept {
    return static_cast<const sockaddr*>(where.data());
}

/// Room for any address, and what the system wrote into it.
struct name_room {
    sockaddr_storage storage{};
    std::size_t size = sizeof storage;

    sockaddr* data() noexcept { return reinterpret_cast<sockaddr*>(&storage); }
    address get() const noexcept { return address::from_native(&storage, size); }
};

void require(const result<void>& outcome, const std::string& doing) {
    if (!outcome) throw std::system_error(outcome.error(), doing);
}

struct native_option {
    int level;
    int name;
};

native_option native(option which) {
    switch (which) {
    case option::reuse_address: break;  // is not the same everywhere: sys::set_reuse_address
    case option::reuse_port: return {SOL_SOCKET, SO_REUSEPORT};
    case option::no_delay: return {IPPROTO_TCP, TCP_NODELAY};
    case option::keep_alive: return {SOL_SOCKET, SO_KEEPALIVE};
    case option::broadcast: return {SOL_SOCKET, SO_BROADCAST};
    case option::ipv6_only: return {IPPROTO_IPV6, IPV6_V6ONLY};
    case option::send_buffer: return {SOL_SOCKET, SO_SNDBUF};
    case option::receive_buffer: return {SOL_SOCKET, SO_RCVBUF};
    }
    throw std::invalid_argument("no such option");
}

socket open(int domain, int type, io_mode mode) {
    return socket{or_throw(sys::open_socket(domain, type, mode == nonblocking), "socket")};
}

int domain_of(family kind) {
    switch (kind) {
    case family::ipv4: return AF_INET;
    case family::ipv6: return AF_INET6;
    default: throw std::invalid_argument("TCP and UDP want family::ipv4 or family::ipv6");
    }
}

}  // namespace

// --- setting up ----------------------------------------------------------------------------------

void socket_view::bind(const address& where) const {
    require(sys::bind(descriptor_, native(where), where.size()), "bind to " + where.text());
}

void socket_view::bind(std::string_view host, std::uint16_t port) const {
    const family kind = or_throw(local_address(), "bind").kind();
    bind(or_throw(resolve(host, port, kind), ("bind to " + std::string{host}).c_str())[0]);
}

void socket_view::listen(int backlog) const {
    require(sys::listen(descriptor_, backlog), "listen");
}

void socket_view::set(option which, int value) const {
    if (which == option::reuse_address)
        return require(sys::set_reuse_address(descriptor_, value != 0), "setsockopt");
    const auto [level, name] = native(which);
    require(sys::set_option(descriptor_, level, name, &value, sizeof value), "setsockopt");
}

int socket_view::get(option which) const {
    if (which == option::reuse_address) return or_throw(sys::reuse_address(descriptor_), "getsockopt");
    const auto [level, name] = native(which);
    int value = 0;
    or_throw(sys::get_option(descriptor_, level, name, &value, sizeof value), "getsockopt");
    return value;
}

void socket_view::set_linger(std::chrono::seconds wait) const {
    using count = decltype(linger::l_linger);
    constexpr std::chrono::seconds longest{std::numeric_limits<count>::max()};
    const linger value{1,
                       static_cast<count>(std::clamp(wait, std::chrono::seconds{0}, longest).count())};
    require(sys::set_option(descriptor_, SOL_SOCKET, SO_LINGER, &value, sizeof value), "setsockopt");
}

void socket_view::set_no_linger() const {
    const linger value{0, 0};
    require(sys::set_option(descriptor_, SOL_SOCKET, SO_LINGER, &value, sizeof value), "setsockopt");
}

void socket_view::set_raw(int level, int name, const_buffer value) const {
    require(sys::set_option(descriptor_, level, name, value.data(), value.size()), "setsockopt");
}

std::size_t socket_view::get_raw(int level, int name, mutable_buffer value) const {
    return or_throw(sys::get_option(descriptor_, level, name, value.data(), value.size()),
                    "getsockopt");
}

void socket_view::set_mode(io_mode mode) const {
    require(sys::set_nonblocking(descriptor_, mode == nonblocking), sys::mode_call);
}

io_mode socket_view::mode() const {
    return or_throw(sys::is_nonblocking(descriptor_), sys::mode_call) ? nonblocking : blocking;
}

// --- the world's part ----------------------------------------------------------------------------

result<accepted> socket_view::accept(io_mode mode) const noexcept {
    name_room peer;
    const auto got = sys::accept(descriptor_, peer.data(), peer.size, mode == nonblocking);
    if (!got) return std::unexpected{got.error()};
    return accepted{selectors::socket{*got}, peer.get()};
}

result<void> socket_view::connect(const address& peer) const noexcept {
    return sys::connect(descriptor_, native(peer), peer.size());
}

result<void> socket_view::take_error() const noexcept {
    int pending = 0;
    const auto got = sys::get_option(descriptor_, SOL_SOCKET, SO_ERROR, &pending, sizeof pending);
    if (!got) return std::unexpected{got.error()};
    if (pending != 0) return std::unexpected{sys::error_from(pending)};
    return {};
}

result<void> socket_view::finish_connect() const noexcept {
    if (auto outcome = take_error(); !outcome) return outcome;
    const auto here = local_address();
    const auto there = peer_address();
    if (!there) return std::unexpected{there.error()};
    // A connect to a free port of the ephemeral range can meet itself (simultaneous open, RFC 9293
    // 3.5): nobody is there, so it is a refusal.
    if (here && *here == *there && here->port() != 0)
        return std::unexpected{sys::error_of(std::errc::connection_refused)};
    return {};
}

result<std::size_t> socket_view::recv(mutable_buffer room) const noexcept {
    return sys::recv(descriptor_, room.data(), room.size());
}

result<std::size_t> socket_view::recv(std::span<const mutable_buffer> rooms) const noexcept {
    return sys::recv(descriptor_, rooms);
}

result<std::size_t> socket_view::send(const_buffer data) const noexcept {
    return sys::send(descriptor_, data.data(), data.size());
}

result<std::size_t> socket_view::send(std::span<const const_buffer> parts) const noexcept {
    return sys::send(descriptor_, parts);
}

result<received> socket_view::recvfrom(mutable_buffer room) const noexcept {
    name_room sender;
    const auto got = sys::recv_from(descriptor_, room, sender.data(), sender.size);
    if (!got) return std::unexpected{got.error()};
    return received{got->size, sender.get(), got->truncated};
}

result<std::size_t> socket_view::sendto(const_buffer data, const address& peer) const noexcept {
    return sys::send_to(descriptor_, data, native(peer), peer.size());
}

result<void> socket_view::shutdown(shutdown_side side) const noexcept {
    constexpr int native_sides[] = {SHUT_RD, SHUT_WR, SHUT_RDWR};
    return sys::shutdown(descriptor_, native_sides[static_cast<int>(side)]);
}

result<address> socket_view::local_address() const noexcept {
    name_room here;
    const auto size = sys::local_name(descriptor_, here.data(), here.size);
    if (!size) return std::unexpected{size.error()};
    here.size = *size;
    return here.get();
}

result<address> socket_view::peer_address() const noexcept {
    name_room there;
    const auto size = sys::peer_name(descriptor_, there.data(), there.size);
    if (!size) return std::unexpected{size.error()};
    there.size = *size;
    return there.get();
}

// --- making --------------------------------------------------------------------------------------

socket socket::tcp(family kind, io_mode mode) {
    return open(domain_of(kind), SOCK_STREAM, mode);
}

socket socket::udp(family kind, io_mode mode) {
    return open(domain_of(kind), SOCK_DGRAM, mode);
}

socket socket::unix_stream(io_mode mode) {
    return open(AF_UNIX, SOCK_STREAM, mode);
}

socket socket::unix_datagram(io_mode mode) {
    return open(AF_UNIX, SOCK_DGRAM, mode);
}

socket socket::unix_seqpacket(io_mode mode) {
    return open(AF_UNIX, SOCK_SEQPACKET, mode);
}

std::pair<socket, socket> socket::pair(io_mode mode) {
    const auto ends = or_throw(sys::open_pair(mode == nonblocking), "socketpair");
    return {socket{ends.first}, socket{ends.second}};
}

void socket::close_descriptor(native_handle descriptor) noexcept {
    sys::close(descriptor);
}

}  // namespace selectors
