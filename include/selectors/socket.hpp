// selectors/socket.hpp - sockets as values.
//
// `socket` owns a descriptor and closes it; `socket_view` is the same without owning. What sets a
// socket up (open, bind, listen, options) throws std::system_error, for there is no program without
// it; what the peer or the moment decides (accept, connect, recv, send) returns a `result`.
//
//     sel::socket server = sel::socket::tcp();
//     server.bind("localhost", 7342);
//     server.listen();
//     auto [client, peer] = or_throw(server.accept());
//     auto n = client.recv(buffer);                    // 0: the peer has finished sending
//
// As in Python a socket blocks until told otherwise; `listen(...)` and `connect(...)` below give
// non-blocking ones. Descriptors are always close-on-exec, and no send ever raises SIGPIPE.
//
// Threads: a socket is a plain value; calls on one descriptor from several threads are as the
// operating system has them. Sources: socket(7), ip(7), tcp(7), unix(7).
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include <selectors/address.hpp>
#include <selectors/buffer.hpp>
#include <selectors/descriptor.hpp>
#include <selectors/export.hpp>
#include <selectors/result.hpp>

namespace selectors {

class socket;
struct accepted;
struct received;

enum class io_mode : std::uint8_t { blocking, nonblocking };
inline constexpr io_mode blocking = io_mode::blocking;
inline constexpr io_mode nonblocking = io_mode::nonblocking;

/// Whether other sockets that say so, too, may be bound to the same port and share its connections: of
/// this process or another, of the same user. Not on Windows, and no Unix path.
enum class port_use : std::uint8_t { exclusive, shared };
inline constexpr port_use exclusive_port = port_use::exclusive;
inline constexpr port_use shared_port = port_use::shared;

/// What an option's value means stands beside it; flags are 0 and 1.
enum class option : std::uint8_t {
    reuse_address,   ///< flag: bind although old connections of the port linger; Windows has it set
    reuse_port,      ///< flag: several sockets bind one port and share its connections; not on Windows
    no_delay,        ///< flag, TCP: send small pieces at once
    keep_alive,      ///< flag: probe silent peers
    broadcast,       ///< flag, UDP: allow sending to broadcast addresses
    ipv6_only,       ///< flag, IPv6: no IPv4 through this socket
    send_buffer,     ///< bytes, before the kernel doubles them
    receive_buffer,  ///< bytes, before the kernel doubles them
};

enum class shutdown_side : std::uint8_t { read, write, both };

/// A descriptor and what one can do with it; owns nothing, copies freely, may be stale.
class SELECTORS_API socket_view {
  public:
    constexpr socket_view() noexcept = default;
    constexpr socket_view(native_handle descriptor) noexcept : descriptor_{descriptor} {}
    /// Anything that has a native_handle().
    template <class Owner>
        requires(!std::derived_from<Owner, socket_view>) && requires(const Owner& owner) {
            { owner.native_handle() } -> std::same_as<selectors::native_handle>;
        }
    constexpr socket_view(const Owner& owner) noexcept : descriptor_{owner.native_handle()} {}

    constexpr native_handle descriptor() const noexcept { return descriptor_; }
    constexpr explicit operator bool() const noexcept { return descriptor_ != invalid_handle; }
    friend constexpr bool operator==(socket_view a, socket_view b) noexcept {
        return a.descriptor_ == b.descriptor_;
    }

    // --- setting up: these throw std::system_error, its text naming the call and the address -----

    void bind(const address& where) const;
    /// Blocks if `host` is a name. Binds to its first address of this socket's family.
    void bind(std::string_view host, std::uint16_t port) const;
    void listen(int backlog = default_backlog) const;
    void set(option which, int value) const;
    int get(option which) const;
    /// How long close() waits for unsent data; zero resets the connection instead of closing it.
    void set_linger(std::chrono::seconds wait) const;
    /// Back to the system's way: close() returns at once, the kernel goes on sending.
    void set_no_linger() const;
    /// Any other option, as setsockopt(2) and getsockopt(2) take it; get returns the bytes written.
    void set_raw(int level, int name, const_buffer value) const;
    std::size_t get_raw(int level, int name, mutable_buffer value) const;
    void set_mode(io_mode mode) const;
    /// Windows cannot be asked: std::errc::operation_not_supported.
    io_mode mode() const;

    // --- the world's part: these return a result and throw nothing -------------------------------

    /// The next connection, its socket in the given mode. errc::would_block if there is none.
    [[nodiscard]] result<accepted> accept(io_mode mode = blocking) const noexcept;
    /// On a non-blocking socket errc::in_progress: wait for write, then ask finish_connect().
    [[nodiscard]] result<void> connect(const address& peer) const noexcept;
    /// The error that is pending on the socket, and takes it away; a success if there is none.
    [[nodiscard]] result<void> take_error() const noexcept;
    /// How a connect under way ended, to be asked once it reports write. A connection that met itself
    /// (nobody listens on a port that the system then chose for this side) is errc::refused.
    [[nodiscard]] result<void> finish_connect() const noexcept;
    /// At most one buffer full; 0 is the end of the stream (and an empty datagram, on those).
    [[nodiscard]] result<std::size_t> recv(mutable_buffer room) const noexcept;
    /// Several buffers, filled in turn. At most 1024 are looked at.
    [[nodiscard]] result<std::size_t> recv(std::span<const mutable_buffer> rooms) const noexcept;
    /// How many of the bytes were taken, on streams perhaps not all.
    [[nodiscard]] result<std::size_t> send(const_buffer data) const noexcept;
    [[nodiscard]] result<std::size_t> send(std::span<const const_buffer> parts) const noexcept;
    /// One datagram and its sender; what does not fit into the room is lost, and `truncated` says so.
    [[nodiscard]] result<received> recvfrom(mutable_buffer room) const noexcept;
    [[nodiscard]] result<std::size_t> sendto(const_buffer data, const address& peer) const noexcept;
    /// Ends one direction or both; the peer reads the end of the stream.
    result<void> shutdown(shutdown_side side) const noexcept;

    [[nodiscard]] result<address> local_address() const noexcept;
    [[nodiscard]] result<address> peer_address() const noexcept;

    /// As many as the system allows.
    static constexpr int default_backlog = 4096;

  protected:
    native_handle descriptor_ = invalid_handle;
};

/// Owns a descriptor; closed when it goes. Moved-from is closed.
class SELECTORS_API socket : public socket_view {
  public:
    constexpr socket() noexcept = default;
    /// Takes ownership of a descriptor.
    constexpr explicit socket(native_handle descriptor) noexcept : socket_view{descriptor} {}
    constexpr socket(socket&& other) noexcept : socket_view{other.release()} {}
    constexpr socket& operator=(socket&& other) noexcept {
        if (this != &other) {
            close();
            descriptor_ = other.release();
        }
        return *this;
    }
    constexpr ~socket() { close(); }

    // All throw std::system_error if the system has no such socket or no descriptor left.
    static socket tcp(family kind = family::ipv4, io_mode mode = blocking);
    static socket udp(family kind = family::ipv4, io_mode mode = blocking);
    static socket unix_stream(io_mode mode = blocking);
    static socket unix_datagram(io_mode mode = blocking);
    static socket unix_seqpacket(io_mode mode = blocking);
    /// Two connected Unix stream sockets; on Windows, TCP over loopback.
    static std::pair<socket, socket> pair(io_mode mode = blocking);

    constexpr socket_view view() const noexcept { return *this; }
    /// Gives the descriptor away; this socket is closed afterwards.
    constexpr native_handle release() noexcept { return std::exchange(descriptor_, invalid_handle); }
    /// Closes now. Take it out of the bag first.
    constexpr void close() noexcept {
        if (descriptor_ != invalid_handle) close_descriptor(release());
    }

  private:
    static void close_descriptor(native_handle descriptor) noexcept;
};

struct accepted {
    selectors::socket socket;
    address peer;
};

struct received {
    std::size_t size;
    address from;
    bool truncated;
};

/// A non-blocking listener with reuse_address. A Unix path at which nobody listens any more is
/// replaced; one at which somebody does is errc::address_in_use. Throws std::system_error.
SELECTORS_API socket listen(const address& where, int backlog = socket_view::default_backlog);
/// The same beside others: listen(where, shared_port). std::invalid_argument for a Unix path.
SELECTORS_API socket listen(const address& where, port_use use,
                            int backlog = socket_view::default_backlog);
/// Blocks if `host` is a name; listens on its first address.
SELECTORS_API socket listen(std::string_view host, std::uint16_t port, port_use use = exclusive_port);
/// The same with everything in one text: "localhost:7342", "[::1]:80", "/run/app.sock".
SELECTORS_API socket listen(std::string_view text, port_use use = exclusive_port);

/// A non-blocking stream socket whose connect is under way or done: wait for write, then ask
/// finish_connect(). Errors: what connect(2) says at once.
[[nodiscard]] SELECTORS_API result<socket> connect(const address& peer) noexcept;

}  // namespace selectors
