// epoll as an expert writes it: level-triggered, a pointer in the event, 1,024 events a wait, one buffer for all
// reading; a connection has one of its own only while its peer does not read.
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <string>

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server.hpp"

namespace {

struct connection {
    int descriptor;
    std::string pending;  ///< what the peer has not taken yet
};

int set;
char buffer[bench::read_size];

void control(int operation, connection& of, std::uint32_t events) {
    epoll_event event{events, {.ptr = &of}};
    if (::epoll_ctl(set, operation, of.descriptor, &event) < 0) std::abort();
}

void end(connection& of) {
    ::close(of.descriptor);
    delete &of;
}

void accept_all() {
    for (;;) {
        const int made =
            ::accept4(bench::listening_descriptor, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (made >= 0)
            control(EPOLL_CTL_ADD, *new connection{made, {}}, EPOLLIN);
        else if (errno == EAGAIN)
            return;
        else if (errno != ECONNABORTED && errno != EINTR)
            std::abort();
    }
}

/// What is left of it; -1 if the connection is broken.
ssize_t write_now(connection& to, const char* data, std::size_t size) {
    const ssize_t sent = ::send(to.descriptor, data, size, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) return -1;
    return static_cast<ssize_t>(size) - (sent < 0 ? 0 : sent);
}

void readable(connection& from) {
    ssize_t got = sizeof buffer;
    for (int i = 0; i < bench::reads_in_a_row && got == sizeof buffer; ++i) {
        got = ::recv(from.descriptor, buffer, sizeof buffer, 0);
        if (got < 0 && errno == EAGAIN) return;
        if (got <= 0) return end(from);
        const ssize_t left = write_now(from, buffer, static_cast<std::size_t>(got));
        if (left < 0) return end(from);
        if (left == 0) continue;
        from.pending.assign(buffer + got - left, static_cast<std::size_t>(left));
        return control(EPOLL_CTL_MOD, from, EPOLLOUT);
    }
}

void writable(connection& to) {
    const ssize_t left = write_now(to, to.pending.data(), to.pending.size());
    if (left < 0) return end(to);
    to.pending.erase(0, to.pending.size() - static_cast<std::size_t>(left));
    if (left > 0) return;
    std::string{}.swap(to.pending);
    control(EPOLL_CTL_MOD, to, EPOLLIN);
}

}  // namespace

int main() {
    set = ::epoll_create1(EPOLL_CLOEXEC);
    connection listener{bench::listening_descriptor, {}};
    control(EPOLL_CTL_ADD, listener, EPOLLIN);
    for (;;) {
        epoll_event events[1024];
        const int count = ::epoll_wait(set, events, 1024, -1);
        for (int i = 0; i < count; ++i) {
            auto& of = *static_cast<connection*>(events[i].data.ptr);
            if (&of == &listener)
                accept_all();
            else if (of.pending.empty())
                readable(of);
            else
                writable(of);
        }
    }
}
