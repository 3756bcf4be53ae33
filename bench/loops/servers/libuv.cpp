// libuv as its guide advises: handle, write request and what is pending are one object, every read goes into one
// shared buffer, and uv_try_write answers at once. What it leaves goes to uv_write, and reading stops until that
// is done: so the end of the stream is seen only when nothing is pending. libuv leaves SIGPIPE to the program.
#include <csignal>
#include <cstdlib>
#include <string>

#include <uv.h>

#include "server.hpp"

namespace {

struct connection {
    uv_tcp_t socket;
    uv_write_t request;
    std::string pending;  ///< what the peer has not taken yet
};

char buffer[bench::read_size];

connection& of(uv_stream_t* stream) {
    return *static_cast<connection*>(stream->data);
}

void lend_buffer(uv_handle_t*, std::size_t, uv_buf_t* lent) {
    *lent = uv_buf_init(buffer, sizeof buffer);
}

void end(uv_stream_t* stream) {
    uv_close(reinterpret_cast<uv_handle_t*>(stream),
             [](uv_handle_t* closed) { delete static_cast<connection*>(closed->data); });
}

void readable(uv_stream_t* from, ssize_t got, const uv_buf_t*);

void written(uv_write_t* request, int status) {
    uv_stream_t* const to = request->handle;
    if (status < 0) return end(to);
    std::string{}.swap(of(to).pending);
    if (uv_read_start(to, lend_buffer, readable) < 0) std::abort();
}

void readable(uv_stream_t* from, ssize_t got, const uv_buf_t*) {
    if (got == 0) return;  // nothing there after all
    if (got < 0) return end(from);
    const auto size = static_cast<unsigned>(got);
    uv_buf_t data = uv_buf_init(buffer, size);
    const int sent = uv_try_write(from, &data, 1);
    if (sent < 0 && sent != UV_EAGAIN) return end(from);
    const auto done = static_cast<unsigned>(sent < 0 ? 0 : sent);
    if (done == size) return;
    uv_read_stop(from);
    connection& slow = of(from);
    slow.pending.assign(buffer + done, size - done);
    data = uv_buf_init(slow.pending.data(), size - done);
    if (uv_write(&slow.request, from, &data, 1, written) < 0) end(from);
}

/// Called once for each connection.
void accept_one(uv_stream_t* listener, int status) {
    if (status < 0) std::abort();
    auto* const made = new connection;
    made->socket.data = made;
    auto* const stream = reinterpret_cast<uv_stream_t*>(&made->socket);
    if (uv_tcp_init(listener->loop, &made->socket) < 0) std::abort();
    if (uv_accept(listener, stream) < 0) std::abort();
    if (uv_read_start(stream, lend_buffer, readable) < 0) std::abort();
}

}  // namespace

int main() {
    std::signal(SIGPIPE, SIG_IGN);
    uv_loop_t* const loop = uv_default_loop();
    uv_tcp_t listener;
    if (uv_tcp_init(loop, &listener) < 0) std::abort();
    if (uv_tcp_open(&listener, bench::listening_descriptor) < 0) std::abort();
    // It listens already; listening again sets the backlog anew, here to the most there can be.
    if (uv_listen(reinterpret_cast<uv_stream_t*>(&listener), SOMAXCONN, accept_one) < 0) std::abort();
    return uv_run(loop, UV_RUN_DEFAULT);
}
