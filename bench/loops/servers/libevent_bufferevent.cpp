// libevent's bufferevents, as its book teaches them: what comes in moves from the input buffer to the output buffer
// without a copy. They write when the loop next finds the socket writable, never at once: so "who does not read" is
// who has more than read_size of output waiting, and is read from again when all of it is gone. (libevent 2.1 reads
// 4 KB at a time, and has no setting for more.)
#include <csignal>
#include <cstdlib>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#include "server.hpp"

namespace {

void readable(bufferevent* from, void*) {
    evbuffer* const output = bufferevent_get_output(from);
    evbuffer_add_buffer(output, bufferevent_get_input(from));
    if (evbuffer_get_length(output) > bench::read_size) bufferevent_disable(from, EV_READ);
}

/// Called when the output buffer is empty.
void drained(bufferevent* to, void*) {
    if (!(bufferevent_get_enabled(to) & EV_READ)) bufferevent_enable(to, EV_READ);
}

void drained_at_last(bufferevent* to, void*) {
    bufferevent_free(to);
}

void ended(bufferevent* of, short what, void*) {
    const bool broken = what & BEV_EVENT_ERROR;
    if (broken || evbuffer_get_length(bufferevent_get_output(of)) == 0) return bufferevent_free(of);
    bufferevent_setcb(of, nullptr, drained_at_last, ended, nullptr);
}

/// Called once for each connection, which does not block.
void accepted(evconnlistener* listener, evutil_socket_t made, sockaddr*, int, void*) {
    event_base* const base = evconnlistener_get_base(listener);
    bufferevent* const of = bufferevent_socket_new(base, made, BEV_OPT_CLOSE_ON_FREE);
    if (of == nullptr) std::abort();
    bufferevent_setcb(of, readable, drained, ended, nullptr);
    bufferevent_setwatermark(of, EV_READ, 0, bench::read_size);
    bufferevent_set_max_single_write(of, bench::read_size);
    if (bufferevent_enable(of, EV_READ | EV_WRITE) < 0) std::abort();
}

}  // namespace

int main() {
    std::signal(SIGPIPE, SIG_IGN);
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
