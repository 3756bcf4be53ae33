#include <cerrno>
#include <iterator>

#include <linux/filter.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "system/process.hpp"
#include "system/system.hpp"

namespace selectors::sys {
namespace {

constexpr int flags(bool nonblocking) noexcept {
    return nonblocking ? SOCK_CLOEXEC | SOCK_NONBLOCK : SOCK_CLOEXEC;
}

}  // namespace

result<native_handle> open_socket(int domain, int type, bool nonblocking) noexcept {
    const int made = ::socket(domain, type | flags(nonblocking), 0);
    if (made < 0) return failure();
    return made;
}

result<std::pair<native_handle, native_handle>> open_pair(bool nonblocking) noexcept {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | flags(nonblocking), 0, ends) < 0) return failure();
    return std::pair{ends[0], ends[1]};
}

/// By a filter, as in socket(7), which sees the segment: RFC 9293 has the flags in its byte 13. Accepted
/// sockets inherit it, and never see what it drops.
result<void> ignore_connects(native_handle descriptor) noexcept {
    constexpr unsigned syn = 0x02, ack = 0x10, drop = 0, pass = 0xffff'ffff;
    sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, syn | ack),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, syn, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, drop),
        BPF_STMT(BPF_RET | BPF_K, pass),
    };
    const sock_fprog program{std::size(code), code};
    return set_option(descriptor, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

result<native_handle> accept(native_handle descriptor, sockaddr* peer, std::size_t& size,
                             bool nonblocking) noexcept {
    int got;
    auto length = static_cast<socklen_t>(size);
    do got = ::accept4(descriptor, peer, &length, flags(nonblocking));
    while (got < 0 && errno == EINTR);
    if (got < 0) return failure();
    size = length;
    return got;
}

int poll(pollfd* first, std::size_t count, const timespec* timeout) noexcept {
    return ::ppoll(first, count, timeout, nullptr);
}

/// pidfd_open(2), from Linux 5.3; the C library has it from 2.36.
result<native_handle> open_process(std::int64_t number) noexcept {
    const long made = ::syscall(SYS_pidfd_open, static_cast<pid_t>(number), 0);
    if (made < 0) return failure();
    return static_cast<native_handle>(made);
}

waker::waker() : readable_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)}, writable_{invalid_handle} {
    if (readable_.get() < 0) throw std::system_error(last_error(), "eventfd");
}

void waker::ring() noexcept {
    const int saved = errno;
    const eventfd_t one = 1;
    // Fails only when 2^64-2 rings are waiting, and then it is readable anyway.
    [[maybe_unused]] const auto written = ::write(readable_.get(), &one, sizeof one);
    errno = saved;
}

void waker::drain() noexcept {
    eventfd_t rings;
    [[maybe_unused]] const auto read = ::read(readable_.get(), &rings, sizeof rings);
}

}  // namespace selectors::sys
