#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "system/net_headers.hpp"
#include "system/system.hpp"

namespace selectors::sys {

constinit std::atomic<unsigned> detail::process_epoch{1};
constinit std::atomic<hook> after_fork{nullptr};
constinit const char* const status_call = "fcntl";
constinit const char* const mode_call = "fcntl";

namespace {

#if defined(MSG_NOSIGNAL)
constexpr int no_signal = MSG_NOSIGNAL;
#else
constexpr int no_signal = 0;  // macOS: SO_NOSIGPIPE, set when the socket is made
#endif

/// Calls until no signal interrupts.
template <class Call>
auto uninterrupted(Call call) noexcept {
    auto outcome = call();
    while (outcome < 0 && errno == EINTR) outcome = call();
    return outcome;
}

result<void> succeeded(int outcome) noexcept {
    if (outcome < 0) return failure();
    return {};
}

result<std::size_t> transferred(ssize_t outcome) noexcept {
    if (outcome < 0) return failure();
    return static_cast<std::size_t>(outcome);
}

// A list of buffers is handed to the system as it is.
static_assert(sizeof(const_buffer) == sizeof(iovec) && sizeof(mutable_buffer) == sizeof(iovec));

template <class Buffer>
msghdr message_of(const Buffer* parts, std::size_t count) noexcept {
    constexpr std::size_t most_buffers = 1024;
    msghdr message{};
    message.msg_iov = reinterpret_cast<iovec*>(const_cast<Buffer*>(parts));
    message.msg_iovlen = std::min(count, most_buffers);
    return message;
}

/// Registered once, when the library is loaded.
[[maybe_unused]] const int watching_forks = pthread_atfork(nullptr, nullptr, [] {
    detail::process_epoch.fetch_add(1, std::memory_order_relaxed);
    if (const hook call = after_fork.load(std::memory_order_relaxed)) call();
});

}  // namespace

std::error_code last_error() noexcept {
    return error_from(errno);
}

std::error_code error_from(int number) noexcept {
    return {number, std::system_category()};
}

std::error_code error_of(std::errc what) noexcept {
    return error_from(static_cast<int>(what));  // whose values are errno's
}

void start() noexcept {}

constinit thread_local hook before_close = nullptr;
constinit thread_local unsigned closes = 0;

void close(native_handle descriptor) noexcept {
    const int saved = errno;
    if (before_close) before_close();
    ++closes;
    ::close(descriptor);  // never again after EINTR: the descriptor is gone (close(2))
    errno = saved;
}

bool is_open(native_handle descriptor) noexcept {
    const int flags = ::fcntl(descriptor, F_GETFL);
    if (flags < 0) return false;
#if defined(O_PATH)
    if (flags & O_PATH) return errno = EBADF, false;  // a name, nothing that can be waited for
#endif
    return true;
}

file_kind kind_of(native_handle descriptor) noexcept {
    struct stat status{};
    if (::fstat(descriptor, &status) < 0) return file_kind::other;
    if (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode) || S_ISBLK(status.st_mode))
        return file_kind::storage;
    if (S_ISSOCK(status.st_mode)) return file_kind::socket;
    return S_ISCHR(status.st_mode) && !::isatty(descriptor) ? file_kind::device : file_kind::other;
}

result<bool> is_nonblocking(native_handle descriptor) noexcept {
    const int flags = ::fcntl(descriptor, F_GETFL);
    if (flags < 0) return failure();
    return (flags & O_NONBLOCK) != 0;
}

result<void> set_nonblocking(native_handle descriptor, bool on) noexcept {
    const int flags = ::fcntl(descriptor, F_GETFL);
    if (flags < 0) return failure();
    const int wanted = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
    if (wanted == flags) return {};
    return succeeded(::fcntl(descriptor, F_SETFL, wanted));
}

result<void> bind(native_handle descriptor, const sockaddr* where, std::size_t size) noexcept {
    return succeeded(::bind(descriptor, where, static_cast<socklen_t>(size)));
}

result<void> listen(native_handle descriptor, int backlog) noexcept {
    return succeeded(::listen(descriptor, backlog));
}

/// Linux tells of the new connection's own network errors here, too: accept(2), "Error handling".
bool is_of_peer(std::error_code accept_error) noexcept {
    switch (accept_error.value()) {
    case ECONNABORTED:
    case ECONNRESET:
    case EPROTO:
    case ENOPROTOOPT:
    case EOPNOTSUPP:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ETIMEDOUT:
#if defined(ENONET)
    case ENONET:
#endif
        return true;
    default: return false;
    }
}

result<void> connect(native_handle descriptor, const sockaddr* peer, std::size_t size) noexcept {
    if (::connect(descriptor, peer, static_cast<socklen_t>(size)) == 0) return {};
    if (errno != EINTR) return failure();
    // Interrupted, the connect goes on by itself and must not be begun again (connect(2), POSIX).
    if (is_nonblocking(descriptor).value_or(true))
        return std::unexpected{std::error_code{EINPROGRESS, std::system_category()}};
    pollfd waiting{descriptor, POLLOUT, 0};
    if (uninterrupted([&] { return ::poll(&waiting, 1, -1); }) < 0) return failure();
    int pending = 0;
    if (auto got = get_option(descriptor, SOL_SOCKET, SO_ERROR, &pending, sizeof pending); !got)
        return std::unexpected{got.error()};
    if (pending != 0) return std::unexpected{std::error_code{pending, std::system_category()}};
    return {};
}

result<std::size_t> recv(native_handle descriptor, void* room, std::size_t size) noexcept {
    return transferred(uninterrupted([&] { return ::recv(descriptor, room, size, 0); }));
}

result<std::size_t> send(native_handle descriptor, const void* data, std::size_t size) noexcept {
    return transferred(uninterrupted([&] { return ::send(descriptor, data, size, no_signal); }));
}

result<std::size_t> recv(native_handle descriptor, std::span<const mutable_buffer> rooms) noexcept {
    msghdr message = message_of(rooms.data(), rooms.size());
    return transferred(uninterrupted([&] { return ::recvmsg(descriptor, &message, 0); }));
}

result<std::size_t> send(native_handle descriptor, std::span<const const_buffer> parts) noexcept {
    const msghdr message = message_of(parts.data(), parts.size());
    return transferred(uninterrupted([&] { return ::sendmsg(descriptor, &message, no_signal); }));
}

result<datagram> recv_from(native_handle descriptor, mutable_buffer room, sockaddr* sender,
                           std::size_t& sender_size) noexcept {
    msghdr message = message_of(&room, 1);
    message.msg_name = sender;
    message.msg_namelen = static_cast<socklen_t>(sender_size);
    const auto size = uninterrupted([&] { return ::recvmsg(descriptor, &message, 0); });
    if (size < 0) return failure();
    sender_size = message.msg_namelen;
    return datagram{static_cast<std::size_t>(size), (message.msg_flags & MSG_TRUNC) != 0};
}

result<std::size_t> send_to(native_handle descriptor, const_buffer data, const sockaddr* peer,
                            std::size_t peer_size) noexcept {
    msghdr message = message_of(&data, 1);
    message.msg_name = const_cast<sockaddr*>(peer);
    message.msg_namelen = static_cast<socklen_t>(peer_size);
    return transferred(uninterrupted([&] { return ::sendmsg(descriptor, &message, no_signal); }));
}

result<void> shutdown(native_handle descriptor, int how) noexcept {
    return succeeded(::shutdown(descriptor, how));
}

result<std::size_t> local_name(native_handle descriptor, sockaddr* room, std::size_t size) noexcept {
    auto length = static_cast<socklen_t>(size);
    if (::getsockname(descriptor, room, &length) < 0) return failure();
    return std::size_t{length};
}

result<std::size_t> peer_name(native_handle descriptor, sockaddr* room, std::size_t size) noexcept {
    auto length = static_cast<socklen_t>(size);
    if (::getpeername(descriptor, room, &length) < 0) return failure();
    return std::size_t{length};
}

result<void> set_option(native_handle descriptor, int level, int name, const void* value,
                        std::size_t size) noexcept {
    return succeeded(::setsockopt(descriptor, level, name, value, static_cast<socklen_t>(size)));
}

result<std::size_t> get_option(native_handle descriptor, int level, int name, void* value,
                               std::size_t size) noexcept {
    auto length = static_cast<socklen_t>(size);
    if (::getsockopt(descriptor, level, name, value, &length) < 0) return failure();
    return std::size_t{length};
}

result<void> set_reuse_address(native_handle descriptor, bool on) noexcept {
    const int value = on;
    return set_option(descriptor, SOL_SOCKET, SO_REUSEADDR, &value, sizeof value);
}

result<bool> reuse_address(native_handle descriptor) noexcept {
    int value = 0;
    const auto got = get_option(descriptor, SOL_SOCKET, SO_REUSEADDR, &value, sizeof value);
    if (!got) return std::unexpected{got.error()};
    return value != 0;
}

bool is_socket_file(const char* path) noexcept {
    struct stat status{};
    return ::lstat(path, &status) == 0 && S_ISSOCK(status.st_mode);
}

unsigned interface_number(std::string_view name) noexcept {
    char terminated[IF_NAMESIZE] = {};
    if (name.empty() || name.size() >= sizeof terminated) return 0;
    name.copy(terminated, name.size());
    return ::if_nametoindex(terminated);
}

std::string interface_name(unsigned number) {
    char name[IF_NAMESIZE];
    return ::if_indextoname(number, name) ? name : "";
}

void remove_file(const char* path) noexcept {
    ::unlink(path);
}

directory_lock::directory_lock(const char* path) noexcept
    : directory_{::open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)} {
    for (int tries = 0; directory_.get() >= 0 && tries < 100; ++tries) {
        if (::flock(directory_.get(), LOCK_EX | LOCK_NB) == 0) return;
        ::poll(nullptr, 0, 10);
    }
}

}  // namespace selectors::sys
