// libev, its epoll backend: a connection is an ev_io, for reading or, while the peer does not read, for writing.
// recv and send are the program's, on one shared buffer. libev collects the changes of a round, and needs no
// epoll_ctl for a descriptor that is closed.
#include <cerrno>
#include <cstdlib>
#include <string>

#include <ev.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server.hpp"

namespace {

struct connection : ev_io {
    std::string pending;  ///< what the peer has not taken yet
};

char buffer[bench::read_size];

void watch_instead(struct ev_loop* loop, connection& of, int what) {
    ev_io_stop(loop, &of);
    ev_io_modify(&of, what);
    ev_io_start(loop, &of);
}

void end(struct ev_loop* loop, connection& of) {
    ev_io_stop(loop, &of);
    ::close(of.fd);
    delete &of;
}

/// What is left of it; -1 if the connection is broken.
ssize_t write_now(connection& to, const char* data, std::size_t size) {
    const ssize_t sent = ::send(to.fd, data, size, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) return -1;
    return static_cast<ssize_t>(size) - (sent < 0 ? 0 : sent);
}

void readable(struct ev_loop* loop, connection& from) {
    ssize_t got = sizeof buffer;
    for (int i = 0; i < bench::reads_in_a_row && got == sizeof buffer; ++i) {
        got = ::recv(from.fd, buffer, sizeof buffer, 0);
        if (got < 0 && errno == EAGAIN) return;
        if (got <= 0) return end(loop, from);
        const ssize_t left = write_now(from, buffer, static_cast<std::size_t>(got));
        if (left < 0) return end(loop, from);
        if (left == 0) continue;
        from.pending.assign(buffer + got - left, static_cast<std::size_t>(left));
        return watch_instead(loop, from, EV_WRITE);
    }
}

void writable(struct ev_loop* loop, connection& to) {
    const ssize_t left = write_now(to, to.pending.data(), to.pending.size());
    if (left < 0) return end(loop, to);
    to.pending.erase(0, to.pending.size() - static_cast<std::size_t>(left));
    if (left > 0) return;
    std::string{}.swap(to.pending);
    watch_instead(loop, to, EV_READ);
}

void ready(struct ev_loop* loop, ev_io* which, int) {
    auto& of = *static_cast<connection*>(which);
    if (of.pending.empty())
        readable(loop, of);
    else
        writable(loop, of);
}

void accept_all(struct ev_loop* loop, ev_io* listener, int) {
    for (;;) {
        const int made = ::accept4(listener->fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (made >= 0) {
            auto* const of = new connection;
            ev_io_init(of, ready, made, EV_READ);
            ev_io_start(loop, of);
        } else if (errno == EAGAIN) {
            return;
        } else if (errno != ECONNABORTED && errno != EINTR) {
            std::abort();
        }
    }
}

}  // namespace

int main() {
    struct ev_loop* const loop = ev_default_loop(EVBACKEND_EPOLL);
    if (loop == nullptr) std::abort();
    ev_io listener;
    ev_io_init(&listener, accept_all, bench::listening_descriptor, EV_READ);
    ev_io_start(loop, &listener);
    ev_run(loop, 0);
}
