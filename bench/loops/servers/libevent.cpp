// libevent's events: one event in each connection, persistent, for reading or, while the peer does not read, for
// writing; recv and send are the program's, on one shared buffer. An evconnlistener accepts. The changelist makes
// one epoll_ctl of a change from reading to writing; it is safe where no descriptor is a duplicate.
#include <cerrno>
#include <cstdlib>
#include <string>

#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/listener.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server.hpp"

namespace {

struct connection {
    evutil_socket_t descriptor;
    std::string pending;  ///< what the peer has not taken yet
    event ready;
};

char buffer[bench::read_size];

void watch(connection& of, event_base* base, short what, event_callback_fn call) {
    if (event_assign(&of.ready, base, of.descriptor, static_cast<short>(what | EV_PERSIST), call, &of) <
        0)
        std::abort();
    if (event_add(&of.ready, nullptr) < 0) std::abort();
}

void watch_instead(connection& of, short what, event_callback_fn call) {
    event_del(&of.ready);
    watch(of, event_get_base(&of.ready), what, call);
}

void end(connection& of) {
    event_del(&of.ready);
    ::close(of.descriptor);
    delete &of;
}

/// What is left of it; -1 if the connection is broken.
ssize_t write_now(connection& to, const char* data, std::size_t size) {
    const ssize_t sent = ::send(to.descriptor, data, size, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) return -1;
    return static_cast<ssize_t>(size) - (sent < 0 ? 0 : sent);
}

void readable(evutil_socket_t, short, void* which);

void writable(evutil_socket_t, short, void* which) {
    auto& to = *static_cast<connection*>(which);
    const ssize_t left = write_now(to, to.pending.data(), to.pending.size());
    if (left < 0) return end(to);
    to.pending.erase(0, to.pending.size() - static_cast<std::size_t>(left));
    if (left > 0) return;
    std::string{}.swap(to.pending);
    watch_instead(to, EV_READ, readable);
}

void readable(evutil_socket_t descriptor, short, void* which) {
    auto& from = *static_cast<connection*>(which);
    ssize_t got = sizeof buffer;
    for (int i = 0; i < bench::reads_in_a_row && got == sizeof buffer; ++i) {
        got = ::recv(descriptor, buffer, sizeof buffer, 0);
        if (got < 0 && errno == EAGAIN) return;
        if (got <= 0) return end(from);
        const ssize_t left = write_now(from, buffer, static_cast<std::size_t>(got));
        if (left < 0) return end(from);
        if (left == 0) continue;
        from.pending.assign(buffer + got - left, static_cast<std::size_t>(left));
        return watch_instead(from, EV_WRITE, writable);
    }
}

/// Called once for each connection, which does not block.
void accepted(evconnlistener* listener, evutil_socket_t made, sockaddr*, int, void*) {
    watch(*new connection{made, {}, {}}, evconnlistener_get_base(listener), EV_READ, readable);
}

}  // namespace

int main() {
    event_config* const config = event_config_new();
    event_config_set_flag(config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
    event_base* const base = event_base_new_with_config(config);
    // A backlog of 0: it listens already.
    evconnlistener* const listener = evconnlistener_new(base, accepted, nullptr, LEV_OPT_CLOSE_ON_EXEC,
                                                        0, bench::listening_descriptor);
    if (listener == nullptr) std::abort();
    evconnlistener_set_error_cb(listener, [](evconnlistener*, void*) { std::abort(); });
    return event_base_dispatch(base);
}
