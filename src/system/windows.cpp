// What the library asks of Windows: Winsock 2, and nothing older than Windows 8.
#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <iterator>

#include <selectors/address.hpp>

#include "system/net_headers.hpp"
#include "system/system.hpp"

namespace selectors::sys {

constinit std::atomic<unsigned> detail::process_epoch{1};  // there is no fork
constinit std::atomic<hook> after_fork{nullptr};
constinit const char* const status_call = "getsockopt";
constinit const char* const mode_call = "ioctlsocket";

// --- errors --------------------------------------------------------------------------------------

namespace {

struct winsock_error {
    int code;
    std::errc condition;
    const char* message;
};

/// Those that have a meaning elsewhere. The C library has no texts for them, and wine few.
constexpr winsock_error winsock_errors[] = {
    {WSAEINTR, std::errc::interrupted, "the call was interrupted"},
    {WSAENOTSOCK, std::errc::bad_file_descriptor,
     "not an open socket; Windows can wait for sockets only"},
    {WSAEBADF, std::errc::bad_file_descriptor, "bad descriptor"},
    {WSAEACCES, std::errc::permission_denied, "permission denied"},
    {WSAEFAULT, std::errc::bad_address, "bad address in memory"},
    {WSAEINVAL, std::errc::invalid_argument, "invalid argument"},
    {WSAEMFILE, std::errc::too_many_files_open, "no descriptors left"},
    {WSAEWOULDBLOCK, std::errc::operation_would_block, "the operation would block"},
    {WSAEINPROGRESS, std::errc::operation_in_progress, "the operation is under way"},
    {WSAEALREADY, std::errc::connection_already_in_progress, "a connect is under way already"},
    {WSAEDESTADDRREQ, std::errc::destination_address_required, "the destination is missing"},
    {WSAEMSGSIZE, std::errc::message_size, "the message is too long"},
    {WSAEPROTOTYPE, std::errc::wrong_protocol_type, "wrong protocol for the type of socket"},
    {WSAENOPROTOOPT, std::errc::no_protocol_option, "Windows has no such option for this socket"},
    {WSAEPROTONOSUPPORT, std::errc::protocol_not_supported, "the protocol is not supported"},
    {WSAEOPNOTSUPP, std::errc::operation_not_supported, "the operation is not supported"},
    {WSAEAFNOSUPPORT, std::errc::address_family_not_supported,
     "addresses of that kind are not supported here"},
    {WSAEADDRINUSE, std::errc::address_in_use, "address in use"},
    {WSAEADDRNOTAVAIL, std::errc::address_not_available, "the address is none of this machine's"},
    {WSAENETDOWN, std::errc::network_down, "the network is down"},
    {WSAENETUNREACH, std::errc::network_unreachable, "no way leads to that network"},
    {WSAENETRESET, std::errc::network_reset, "the network dropped the connection"},
    {WSAECONNABORTED, std::errc::connection_aborted, "the connection was aborted"},
    {WSAECONNRESET, std::errc::connection_reset, "connection reset by the peer"},
    {WSAENOBUFS, std::errc::no_buffer_space, "no kernel memory left"},
    {WSAEISCONN, std::errc::already_connected, "the socket is connected already"},
    {WSAENOTCONN, std::errc::not_connected, "the socket is not connected"},
    {WSAESHUTDOWN, std::errc::broken_pipe, "sent after the connection was shut down"},
    {WSAETIMEDOUT, std::errc::timed_out, "the connection timed out"},
    {WSAECONNREFUSED, std::errc::connection_refused, "connection refused"},
    {WSAEHOSTUNREACH, std::errc::host_unreachable, "no way leads to that host"},
};

/// libstdc++ 12's system category knows of Winsock's codes only the texts of some.
class winsock_category final : public std::error_category {
  public:
    const char* name() const noexcept override { return "winsock"; }

    std::string message(int code) const override {
        if (const winsock_error* known = find(&winsock_error::code, code)) return known->message;
        return std::system_category().message(code);
    }

    std::error_condition default_error_condition(int code) const noexcept override {
        if (const winsock_error* known = find(&winsock_error::code, code)) return known->condition;
        return std::system_category().default_error_condition(code);
    }

    template <class Value>
    static const winsock_error* find(Value winsock_error::* member, Value wanted) noexcept {
        const auto* found = std::ranges::find(winsock_errors, wanted, member);
        return found == std::end(winsock_errors) ? nullptr : found;
    }
};

result<void> succeeded(int outcome) noexcept {
    if (outcome == SOCKET_ERROR) return failure();
    return {};
}

}  // namespace

std::error_code last_error() noexcept {
    const int code = ::WSAGetLastError();
    // Before the first socket of the process every number is that of none.
    return error_from(code == WSANOTINITIALISED ? WSAENOTSOCK : code);
}

std::error_code error_from(int number) noexcept {
    static const winsock_category category;
    return {number, category};
}

std::error_code error_of(std::errc what) noexcept {
    const winsock_error* known = winsock_category::find(&winsock_error::condition, what);
    return known ? error_from(known->code) : make_error_code(what);
}

void start() noexcept {
    // Not when the library is loaded: a DLL must not call it then. Ends with the process.
    [[maybe_unused]] static const int started = [] {
        WSADATA about;
        return ::WSAStartup(MAKEWORD(2, 2), &about);
    }();
}

// --- descriptors ---------------------------------------------------------------------------------

constinit thread_local unsigned closes = 0;

void close(native_handle descriptor) noexcept {
    const int saved = ::WSAGetLastError();
    ++closes;
    ::closesocket(descriptor);
    ::WSASetLastError(saved);
}

bool is_open(native_handle descriptor) noexcept {
    start();
    int type = 0;
    return get_option(descriptor, SOL_SOCKET, SO_TYPE, &type, sizeof type).has_value();
}

/// Windows cannot be asked.
result<bool> is_nonblocking(native_handle descriptor) noexcept {
    if (!is_open(descriptor)) return failure();
    return std::unexpected{error_of(std::errc::operation_not_supported)};
}

result<void> set_nonblocking(native_handle descriptor, bool on) noexcept {
    u_long value = on;
    return succeeded(::ioctlsocket(descriptor, static_cast<long>(FIONBIO), &value));
}

// --- sockets -------------------------------------------------------------------------------------

namespace {

void turn_off_inheritance(native_handle descriptor) noexcept {
    ::SetHandleInformation(reinterpret_cast<HANDLE>(descriptor), HANDLE_FLAG_INHERIT, 0);
}

/// An answer "port unreachable" to a datagram is no error of the socket: elsewhere it isn't either.
void ignore_unreachable_ports(native_handle descriptor) noexcept {
    constexpr DWORD udp_connreset = _WSAIOW(IOC_VENDOR, 12);
    BOOL report = FALSE;
    DWORD written = 0;
    ::WSAIoctl(descriptor, udp_connreset, &report, sizeof report, nullptr, 0, &written, nullptr,
               nullptr);
}

sockaddr* native(sockaddr_in& from) noexcept {
    return reinterpret_cast<sockaddr*>(&from);
}

}  // namespace

result<native_handle> open_socket(int domain, int type, bool nonblocking) noexcept {
    start();
    const SOCKET made =
        ::WSASocketW(domain, type, 0, nullptr, 0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    if (made == INVALID_SOCKET) {
        // Windows 10 has Unix stream sockets; older ones, and wine, have none.
        if (domain == AF_UNIX) return std::unexpected{make_error_code(address_error::not_supported)};
        return failure();
    }
    if (type == SOCK_DGRAM) ignore_unreachable_ports(made);
    owned guard{made};
    if (nonblocking)
        if (auto set = set_nonblocking(made, true); !set) return std::unexpected{set.error()};
    return guard.release();
}

/// Windows has no pairs: a connection of this process with itself, and nobody comes between.
result<std::pair<native_handle, native_handle>> open_pair(bool nonblocking) noexcept {
    const auto make = [] { return open_socket(AF_INET, SOCK_STREAM, false); };
    const auto door = make();
    if (!door) return std::unexpected{door.error()};
    const owned listener{*door};
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (auto bound = bind(*door, native(where), sizeof where); !bound)
        return std::unexpected{bound.error()};
    if (auto open = listen(*door, 1); !open) return std::unexpected{open.error()};
    if (auto name = local_name(*door, native(where), sizeof where); !name)
        return std::unexpected{name.error()};

    const auto end = make();
    if (!end) return std::unexpected{end.error()};
    owned first{*end};
    if (auto made = connect(*end, native(where), sizeof where); !made)
        return std::unexpected{made.error()};
    sockaddr_in here{};
    if (auto name = local_name(*end, native(here), sizeof here); !name)
        return std::unexpected{name.error()};

    for (;;) {  // until it is ours: others may connect to any port of loopback
        sockaddr_in peer{};
        std::size_t size = sizeof peer;
        const auto got = accept(*door, native(peer), size, nonblocking);
        if (!got) return std::unexpected{got.error()};
        owned second{*got};
        if (peer.sin_port != here.sin_port || peer.sin_addr.s_addr != here.sin_addr.s_addr) continue;
        const int at_once = 1;  // as with a Unix pair
        for (const native_handle each : {first.get(), second.get()})
            if (auto set = set_option(each, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once); !set)
                return std::unexpected{set.error()};
        if (auto set = set_nonblocking(first.get(), nonblocking); !set)
            return std::unexpected{set.error()};
        return std::pair{first.release(), second.release()};
    }
}

result<void> bind(native_handle descriptor, const sockaddr* where, std::size_t size) noexcept {
    return succeeded(::bind(descriptor, where, static_cast<int>(size)));
}

result<void> listen(native_handle descriptor, int backlog) noexcept {
    return succeeded(::listen(descriptor, backlog));
}

result<void> ignore_connects(native_handle) noexcept {
    return std::unexpected{error_of(std::errc::operation_not_supported)};
}

result<native_handle> accept(native_handle descriptor, sockaddr* peer, std::size_t& size,
                             bool nonblocking) noexcept {
    int length = static_cast<int>(size);
    const SOCKET got = ::accept(descriptor, peer, &length);
    if (got == INVALID_SOCKET) return failure();
    owned guard{got};
    turn_off_inheritance(got);
    // It has the listener's mode.
    if (auto set = set_nonblocking(got, nonblocking); !set) return std::unexpected{set.error()};
    size = static_cast<std::size_t>(length);
    return guard.release();
}

/// Wine 8 says of a connection that was reset before it was accepted that it is not connected.
bool is_of_peer(std::error_code accept_error) noexcept {
    const int code = accept_error.value();
    return code == WSAECONNRESET || code == WSAECONNABORTED || code == WSAENOTCONN;
}

result<void> connect(native_handle descriptor, const sockaddr* peer, std::size_t size) noexcept {
    if (::connect(descriptor, peer, static_cast<int>(size)) == 0) return {};
    // The same word for "under way" as for "nothing there yet".
    if (::WSAGetLastError() == WSAEWOULDBLOCK) return std::unexpected{error_from(WSAEINPROGRESS)};
    return failure();
}

namespace {

constexpr std::size_t most_buffers = 1024;

/// As Winsock takes them: the length first, and in 32 bits.
class native_buffers {
  public:
    template <class Buffer>
    explicit native_buffers(std::span<const Buffer> from) noexcept
        : count_{static_cast<DWORD>(std::min(from.size(), most_buffers))} {
        constexpr std::size_t longest = INT_MAX;  // all of them together, or the sum overflows
        std::size_t left = longest;
        for (DWORD i = 0; i < count_; ++i) {
            const std::size_t size = std::min(from[i].size(), left);
            left -= size;
            buffers_[i].len = static_cast<ULONG>(size);
            buffers_[i].buf = static_cast<char*>(const_cast<void*>(from[i].data()));
        }
        size_ = longest - left;
    }
    WSABUF* data() noexcept { return buffers_; }
    DWORD count() const noexcept { return count_; }
    /// How many bytes they have room for.
    std::size_t size() const noexcept { return size_; }

  private:
    DWORD count_;
    std::size_t size_;
    WSABUF buffers_[most_buffers];
};

WSABUF native_buffer(const void* data, std::size_t size) noexcept {
    return {static_cast<ULONG>(std::min<std::size_t>(size, INT_MAX)),
            static_cast<char*>(const_cast<void*>(data))};
}

/// A datagram that is longer than the room fills it, and Winsock calls that a failure.
result<datagram> taken(int outcome, DWORD size, std::size_t room) noexcept {
    if (outcome == 0) return datagram{size, false};
    if (::WSAGetLastError() == WSAEMSGSIZE) return datagram{room, true};
    return failure();
}

result<datagram> take(native_handle descriptor, WSABUF* rooms, DWORD count, std::size_t size) noexcept {
    DWORD got = 0;
    DWORD flags = 0;
    const int outcome = ::WSARecv(descriptor, rooms, count, &got, &flags, nullptr, nullptr);
    return taken(outcome, got, size);
}

result<std::size_t> size_of(const result<datagram>& got) noexcept {
    if (!got) return std::unexpected{got.error()};
    return got->size;
}

result<std::size_t> give(native_handle descriptor, WSABUF* parts, DWORD count) noexcept {
    DWORD sent = 0;
    if (::WSASend(descriptor, parts, count, &sent, 0, nullptr, nullptr) != 0) return failure();
    return std::size_t{sent};
}

}  // namespace

result<std::size_t> recv(native_handle descriptor, void* room, std::size_t size) noexcept {
    WSABUF buffer = native_buffer(room, size);
    return size_of(take(descriptor, &buffer, 1, buffer.len));
}

result<std::size_t> send(native_handle descriptor, const void* data, std::size_t size) noexcept {
    WSABUF buffer = native_buffer(data, size);
    return give(descriptor, &buffer, 1);
}

result<std::size_t> recv(native_handle descriptor, std::span<const mutable_buffer> rooms) noexcept {
    native_buffers buffers{rooms};
    return size_of(take(descriptor, buffers.data(), buffers.count(), buffers.size()));
}

result<std::size_t> send(native_handle descriptor, std::span<const const_buffer> parts) noexcept {
    native_buffers buffers{parts};
    return give(descriptor, buffers.data(), buffers.count());
}

result<datagram> recv_from(native_handle descriptor, mutable_buffer room, sockaddr* sender,
                           std::size_t& sender_size) noexcept {
    WSABUF buffer = native_buffer(room.data(), room.size());
    DWORD got = 0;
    DWORD flags = 0;
    INT length = static_cast<INT>(sender_size);
    const int outcome =
        ::WSARecvFrom(descriptor, &buffer, 1, &got, &flags, sender, &length, nullptr, nullptr);
    const auto what = taken(outcome, got, buffer.len);
    if (what) sender_size = static_cast<std::size_t>(length);
    return what;
}

result<std::size_t> send_to(native_handle descriptor, const_buffer data, const sockaddr* peer,
                            std::size_t peer_size) noexcept {
    WSABUF buffer = native_buffer(data.data(), data.size());
    DWORD sent = 0;
    if (::WSASendTo(descriptor, &buffer, 1, &sent, 0, peer, static_cast<int>(peer_size), nullptr,
                    nullptr) != 0)
        return failure();
    return std::size_t{sent};
}

result<void> shutdown(native_handle descriptor, int how) noexcept {
    return succeeded(::shutdown(descriptor, how));
}

result<std::size_t> local_name(native_handle descriptor, sockaddr* room, std::size_t size) noexcept {
    int length = static_cast<int>(size);
    if (::getsockname(descriptor, room, &length) == 0) return static_cast<std::size_t>(length);
    if (::WSAGetLastError() != WSAEINVAL) return failure();
    // Not bound yet: elsewhere that is the address "any" with port 0.
    WSAPROTOCOL_INFOW about{};
    if (auto got = get_option(descriptor, SOL_SOCKET, SO_PROTOCOL_INFOW, &about, sizeof about); !got)
        return std::unexpected{got.error()};
    const auto length_of_any = static_cast<std::size_t>(about.iMinSockAddr);
    if (length_of_any > size) return std::unexpected{error_from(WSAEFAULT)};
    std::fill_n(reinterpret_cast<char*>(room), length_of_any, '\0');
    room->sa_family = static_cast<ADDRESS_FAMILY>(about.iAddressFamily);
    return length_of_any;
}

result<std::size_t> peer_name(native_handle descriptor, sockaddr* room, std::size_t size) noexcept {
    int length = static_cast<int>(size);
    if (::getpeername(descriptor, room, &length) != 0) return failure();
    return static_cast<std::size_t>(length);
}

result<void> set_option(native_handle descriptor, int level, int name, const void* value,
                        std::size_t size) noexcept {
    return succeeded(
        ::setsockopt(descriptor, level, name, static_cast<const char*>(value), static_cast<int>(size)));
}

result<std::size_t> get_option(native_handle descriptor, int level, int name, void* value,
                               std::size_t size) noexcept {
    int length = static_cast<int>(size);
    if (::getsockopt(descriptor, level, name, static_cast<char*>(value), &length) != 0)
        return failure();
    return static_cast<std::size_t>(length);
}

/// SO_REUSEADDR would let two servers listen at one port here. That old connections linger is never in
/// the way, unless the socket is exclusive: "Using SO_REUSEADDR and SO_EXCLUSIVEADDRUSE", Microsoft.
result<void> set_reuse_address(native_handle descriptor, bool on) noexcept {
    const BOOL exclusive = !on;
    return set_option(descriptor, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, &exclusive, sizeof exclusive);
}

result<bool> reuse_address(native_handle descriptor) noexcept {
    BOOL exclusive = FALSE;
    const auto got =
        get_option(descriptor, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, &exclusive, sizeof exclusive);
    if (!got) return std::unexpected{got.error()};
    return !exclusive;
}

// --- the files of Unix sockets -------------------------------------------------------------------

bool is_socket_file(const char* path) noexcept {
    constexpr DWORD socket_tag = 0x8000'0023;  // IO_REPARSE_TAG_AF_UNIX
    WIN32_FIND_DATAA found{};
    const HANDLE search = ::FindFirstFileA(path, &found);
    if (search == INVALID_HANDLE_VALUE) return false;
    ::FindClose(search);
    return (found.dwFileAttributes & FILE_ATTRIBUTE_REPARSE_POINT) && found.dwReserved0 == socket_tag;
}

void remove_file(const char* path) noexcept {
    ::DeleteFileA(path);
}

/// Windows locks no directories.
directory_lock::directory_lock(const char*) noexcept : directory_{invalid_handle} {}

// --- network interfaces --------------------------------------------------------------------------

unsigned interface_number(std::string_view name) noexcept {
    char terminated[IF_MAX_STRING_SIZE + 1] = {};
    if (name.empty() || name.size() >= sizeof terminated) return 0;
    name.copy(terminated, name.size());
    return ::if_nametoindex(terminated);
}

std::string interface_name(unsigned number) {
    char name[IF_MAX_STRING_SIZE + 1];
    return ::if_indextoname(number, name) ? name : "";
}

}  // namespace selectors::sys
