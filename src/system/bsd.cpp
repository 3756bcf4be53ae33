// What macOS and the BSDs do otherwise than Linux: a waker is a pipe. The BSDs (NetBSD from 10) make
// descriptors with flags, as Linux does; macOS has neither those flags nor ppoll.
#include <cerrno>
#include <climits>
#include <ctime>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "system/process.hpp"
#include "system/system.hpp"

namespace selectors::sys {
namespace {

// Elsewhere than on macOS its half is compiled by the tests alone, so that it is compiled and run at all.
#if defined(__APPLE__) || defined(SELECTORS_AS_ON_MACOS)

constexpr int flags(bool) noexcept {
    return 0;
}

int call_accept(int descriptor, sockaddr* peer, socklen_t* size, bool) noexcept {
    return ::accept(descriptor, peer, size);
}

int call_pipe(int (&ends)[2]) noexcept {
    return ::pipe(ends);
}

/// What the flags would have done; a program that another thread starts in between has it open, too.
result<native_handle> equip(int made, bool nonblocking) noexcept {
    if (made < 0) return failure();
    owned kept{made};
    if (::fcntl(made, F_SETFD, FD_CLOEXEC) < 0) return failure();
    // Off as well as on: there an accepted socket begins as its listener is.
    if (auto set = set_nonblocking(made, nonblocking); !set) return std::unexpected{set.error()};
#if defined(SO_NOSIGPIPE)
    const int on = 1;  // refused for what is no socket, or is reset already
    ::setsockopt(made, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
    return kept.release();
}

#else

constexpr int flags(bool nonblocking) noexcept {
    return nonblocking ? SOCK_CLOEXEC | SOCK_NONBLOCK : SOCK_CLOEXEC;
}

int call_accept(int descriptor, sockaddr* peer, socklen_t* size, bool nonblocking) noexcept {
    return ::accept4(descriptor, peer, size, flags(nonblocking));
}

int call_pipe(int (&ends)[2]) noexcept {
    return ::pipe2(ends, O_CLOEXEC | O_NONBLOCK);
}

result<native_handle> equip(int made, bool) noexcept {
    if (made < 0) return failure();
    return made;
}

#endif

result<std::pair<native_handle, native_handle>> equip(const int (&ends)[2], bool nonblocking) noexcept {
    auto first = equip(ends[0], nonblocking);
    auto second = equip(ends[1], nonblocking);
    if (first && second) return std::pair{*first, *second};
    const std::error_code why = first ? second.error() : first.error();
    if (first) close(*first);
    if (second) close(*second);
    return std::unexpected{why};
}

}  // namespace

result<native_handle> open_socket(int domain, int type, bool nonblocking) noexcept {
    return equip(::socket(domain, type | flags(nonblocking), 0), nonblocking);
}

result<std::pair<native_handle, native_handle>> open_pair(bool nonblocking) noexcept {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | flags(nonblocking), 0, ends) < 0) return failure();
    return equip(ends, nonblocking);
}

result<void> ignore_connects(native_handle) noexcept {
    return std::unexpected{error_of(std::errc::operation_not_supported)};
}

result<native_handle> accept(native_handle descriptor, sockaddr* peer, std::size_t& size,
                             bool nonblocking) noexcept {
    int got;
    auto length = static_cast<socklen_t>(size);
    do got = call_accept(descriptor, peer, &length, nonblocking);
    while (got < 0 && errno == EINTR);
    size = length;
    return equip(got, nonblocking);
}

int poll(pollfd* first, std::size_t count, const timespec* timeout) noexcept {
    const auto number = static_cast<nfds_t>(count);
#if defined(__APPLE__) || defined(SELECTORS_AS_ON_MACOS)
    if (!timeout) return ::poll(first, number, -1);
    constexpr int most = INT_MAX / 1000 - 1;
    if (timeout->tv_sec >= most) return ::poll(first, number, most * 1000);
    return ::poll(first, number,
                  static_cast<int>(timeout->tv_sec * 1000 + (timeout->tv_nsec + 999'999) / 1'000'000));
#else
    return ::ppoll(first, number, timeout, nullptr);
#endif
}

/// Processes are no files there.
result<native_handle> open_process(std::int64_t) noexcept {
    return std::unexpected{error_of(std::errc::function_not_supported)};
}

waker::waker() : readable_{invalid_handle}, writable_{invalid_handle} {
    int ends[2];
    if (call_pipe(ends) < 0) throw std::system_error(last_error(), "pipe");
    const auto equipped = equip(ends, true);
    if (!equipped) throw std::system_error(equipped.error(), "fcntl of a pipe");
    readable_ = owned{equipped->first};
    writable_ = owned{equipped->second};
}

void waker::ring() noexcept {
    const int saved = errno;
    // Fails only when the pipe is full, and then it is readable anyway.
    [[maybe_unused]] const auto written = ::write(writable_.get(), "", 1);
    errno = saved;
}

void waker::drain() noexcept {
    char rings[1024];
    while (::read(readable_.get(), rings, sizeof rings) == sizeof rings) {
    }
}

}  // namespace selectors::sys
