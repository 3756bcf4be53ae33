// support/windows.hpp - what the tests want of Windows.
#pragma once

// clang-format off: winsock2.h must come before windows.h, which would bring its predecessor.
#include <winsock2.h>
#include <ws2tcpip.h>
#include <iphlpapi.h>
// clang-format on
#undef far  // of 16 bits' memory
#undef near

#include <chrono>
#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <selectors/event.hpp>
#include <selectors/socket.hpp>

namespace selectors::testing {

namespace platform {
inline constexpr ability forks{"Windows has no fork"};
inline constexpr ability small_numbers{"the numbers of SOCKETs are no positions in a set of bits"};
inline constexpr ability files{"Windows can wait for sockets only; a file is refused"};
inline constexpr ability pipes{"Windows can wait for sockets only; a pipe is refused"};
inline constexpr ability signals{"no signal interrupts a thread of Windows"};
inline constexpr ability descriptor_limits{"Windows limits no process to so many sockets"};
inline constexpr ability unix_sockets{"wine has no Unix sockets"};
inline constexpr ability abstract_names{"abstract names are Linux's"};
inline constexpr ability nested_sets{"no set of sockets is a socket itself"};
inline constexpr ability the_bits_of_poll{"WSAPoll numbers its own way, and nobody here asks it"};
inline constexpr ability known_modes{"Windows cannot be asked whether a socket is non-blocking"};
inline constexpr ability shared_ports{"Windows lets no sockets share a port"};
}  // namespace platform

#define SYSTEM_ERROR(name) WSAE##name
struct other_codes {
    static constexpr int try_again = WSAEWOULDBLOCK;
    static constexpr int not_permitted = ERROR_ACCESS_DENIED;
    static constexpr int no_files_left = ERROR_TOO_MANY_OPEN_FILES;
    static constexpr int no_memory = ERROR_NOT_ENOUGH_MEMORY;
    static constexpr int broken_pipe = WSAESHUTDOWN;
    static constexpr int bad_descriptor = WSAENOTSOCK;
    static constexpr int io_error = ERROR_CRC;
};

/// A pair is a TCP connection: only a reset ends it both ways at once.
inline constexpr event hung_up = event::hangup | event::error;
inline constexpr bool pairs_hang_up = false;
inline void hang_up(socket& end) {
    end.set_linger(std::chrono::seconds{0});
    end.close();
}

/// Wine 8 takes the error away when it looks whether there is one, and then recv knows but of the end.
inline bool is_reset(const result<std::size_t>& got) {
    return got ? *got == 0 : got.error() == errc::reset;
}

/// A pair that hung up was reset.
inline bool is_broken(const result<std::size_t>& sent) {
    return !sent && (sent.error() == errc::reset || sent.error() == errc::broken_pipe);
}

inline int size_told_for(int bytes) {
    return bytes;
}

// --- descriptors ---------------------------------------------------------------------------------

inline bool is_open(native_handle descriptor) {
    DWORD flags = 0;
    return ::GetHandleInformation(reinterpret_cast<HANDLE>(descriptor), &flags) != FALSE;
}
inline bool is_inherited(native_handle descriptor) {
    DWORD flags = HANDLE_FLAG_INHERIT;
    ::GetHandleInformation(reinterpret_cast<HANDLE>(descriptor), &flags);
    return (flags & HANDLE_FLAG_INHERIT) != 0;
}
inline native_handle next_number(native_handle descriptor) {
    return descriptor + 4;
}

inline socket own(native_handle descriptor) {
    EXPECT_NE(descriptor, invalid_handle) << "error " << ::WSAGetLastError();
    return socket{descriptor};
}

inline SOCKET raw_duplicate(SOCKET of) {
    WSAPROTOCOL_INFOW about{};
    ::WSADuplicateSocketW(of, ::GetCurrentProcessId(), &about);
    return ::WSASocketW(FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, &about, 0,
                        WSA_FLAG_OVERLAPPED);
}
/// What the system opens with the first of them, or with the first exception, and for good, must not take
/// a number that a case waits for.
inline const bool is_warm = [] {
    try {
        throw 0;
    } catch (int) {
    }
    WSADATA about;
    ::WSAStartup(MAKEWORD(2, 2), &about);
    const SOCKET first = ::socket(AF_INET, SOCK_STREAM, 0);
    ::closesocket(raw_duplicate(first));
    return ::closesocket(first) == 0;
}();

/// The number is whatever the system gives.
inline socket duplicate_of(native_handle descriptor, native_handle /*at_least*/ = 0) {
    return own(raw_duplicate(descriptor));
}

/// Nobody can ask for a number, but one that is free comes again soon.
inline socket duplicate_at(native_handle descriptor, native_handle number) {
    std::vector<socket> others;
    for (int tries = 0; tries < 200; ++tries) {
        others.push_back(duplicate_of(descriptor));
        if (others.back().descriptor() == number) return std::move(others.back());
    }
    ADD_FAILURE() << "the number " << number << " did not come again";
    return {};
}

// --- pairs, without the library -------------------------------------------------------------------

struct raw_pair {
    native_handle a = invalid_handle;
    native_handle b = invalid_handle;
};
inline raw_pair make_raw_pair() {
    static const native_handle door = [] {
        const SOCKET made = ::socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in where{};
        where.sin_family = AF_INET;
        where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        ::bind(made, reinterpret_cast<sockaddr*>(&where), sizeof where);
        ::listen(made, 5);
        return made;
    }();
    sockaddr_in where{};
    int size = sizeof where;
    ::getsockname(door, reinterpret_cast<sockaddr*>(&where), &size);
    const SOCKET a = ::socket(AF_INET, SOCK_STREAM, 0);
    if (::connect(a, reinterpret_cast<sockaddr*>(&where), size) != 0) return {};
    const SOCKET b = ::accept(door, nullptr, nullptr);
    u_long on = 1;
    ::ioctlsocket(a, static_cast<long>(FIONBIO), &on);
    ::ioctlsocket(b, static_cast<long>(FIONBIO), &on);
    return {a, b};
}
inline long raw_write(native_handle to, std::string_view text) {
    return ::send(to, text.data(), static_cast<int>(text.size()), 0);
}
inline long raw_read(native_handle from, char* room, std::size_t size) {
    return ::recv(from, room, static_cast<int>(size), 0);
}
inline void raw_close(native_handle descriptor) {
    ::closesocket(descriptor);
}
/// Loopback takes its time: until so many bytes have arrived.
inline void await_bytes(native_handle at, int count) {
    std::vector<char> room(static_cast<std::size_t>(count));
    while (::recv(at, room.data(), count, MSG_PEEK) < count) ::Sleep(0);
}
/// Until the end has arrived, where nothing is unread.
inline void await_end(native_handle at) {
    char one;
    while (::recv(at, &one, 1, MSG_PEEK) != 0) ::Sleep(0);
}

// --- what is not here: declared, so that every case is compiled ------------------------------------

[[noreturn]] inline void not_here() {
    std::abort();
}

class descriptor_limit {
  public:
    explicit descriptor_limit(native_handle) { not_here(); }
    void set(native_handle) {}
};
inline socket make_file() {
    not_here();
}
inline long size_of(const socket&) {
    not_here();
}
inline void go_to_the_end(const socket&) {}
inline socket open_folder() {
    not_here();
}
inline socket open_null_device() {
    not_here();
}
inline socket open_name() {
    not_here();
}
struct pipe_ends {
    socket read;
    socket write;
};
inline pipe_ends make_pipe() {
    not_here();
}
inline void write_to(const socket&, std::string_view) {}
inline void fill(const socket&) {}
inline socket make_counter(unsigned) {
    not_here();
}
inline socket make_timer() {
    not_here();
}
inline void start(const socket&, std::chrono::nanoseconds) {}
struct terminal {
    socket keyboard;
    socket program;
};
inline terminal make_terminal() {
    not_here();
}
inline socket make_fifo(const std::string&) {
    not_here();
}
inline std::vector<socket> nest_sets() {
    not_here();
}
class child {
  public:
    explicit child(const std::function<bool()>&) { not_here(); }
    int join() const { return -1; }
};
class signal_storm {
  public:
    explicit signal_storm(std::chrono::microseconds) { not_here(); }
    int signals = 0;
};
class signal_to_this_thread {
  public:
    explicit signal_to_this_thread(void (*)(int)) { not_here(); }
    void send() const {}
};

/// There is no SIGPIPE.
inline bool sigpipe_kills() {
    return true;
}

inline std::string loopback_interface() {
    NET_LUID luid{};
    char name[NDIS_IF_MAX_STRING_SIZE + 1] = {};
    ::ConvertInterfaceIndexToLuid(1, &luid);
    ::ConvertInterfaceLuidToNameA(&luid, name, sizeof name);
    return name;
}
/// There are none: a file.
inline std::string abstract_name(const std::string& name) {
    return "unix:" + name;
}

inline long process_number() {
    return static_cast<long>(::GetCurrentProcessId());
}

inline void set_environment(const char* name, const char* value) {
    ::_putenv_s(name, value);
}
inline void unset_environment(const char* name) {
    ::_putenv_s(name, "");
}

}  // namespace selectors::testing
