// No event loop: a thread for each connection, which blocks in recv and in send. A blocking send returns when it has
// sent all, so nothing is ever kept. The buffer is on the thread's stack, and the stack is small, because there are
// thousands of them and glibc keeps 40 MB of those that ended for the next: the smaller, the more.
#include <cerrno>
#include <cstdlib>
#include <thread>

#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server.hpp"

namespace {

constexpr std::size_t stack_size = 64 * 1024 + bench::read_size;

void echo(int descriptor) {
    char buffer[bench::read_size];
    for (;;) {
        const ssize_t got = ::recv(descriptor, buffer, sizeof buffer, 0);
        if (got <= 0) break;
        if (::send(descriptor, buffer, static_cast<std::size_t>(got), MSG_NOSIGNAL) != got) break;
    }
    ::close(descriptor);
}

/// std::thread takes the defaults of the system, which glibc lets a program change.
void make_stacks_small() {
    pthread_attr_t attributes;
    if (::pthread_attr_init(&attributes) != 0) std::abort();
    if (::pthread_attr_setstacksize(&attributes, stack_size) != 0) std::abort();
    if (::pthread_setattr_default_np(&attributes) != 0) std::abort();
    ::pthread_attr_destroy(&attributes);
}

void let_it_block(int descriptor) {
    const int flags = ::fcntl(descriptor, F_GETFL);
    if (flags < 0 || ::fcntl(descriptor, F_SETFL, flags & ~O_NONBLOCK) < 0) std::abort();
}

}  // namespace

int main() {
    make_stacks_small();
    let_it_block(bench::listening_descriptor);
    for (;;) {
        const int made = ::accept4(bench::listening_descriptor, nullptr, nullptr, SOCK_CLOEXEC);
        if (made >= 0)
            std::thread{echo, made}.detach();  // if there can be no thread, it throws: that aborts, too
        else if (errno != ECONNABORTED && errno != EINTR)
            std::abort();
    }
}
