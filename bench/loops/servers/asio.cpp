// Asio with callbacks: a read, a write of all of it, and again. One thread, and the context is told so: no locks. The
// sockets name the context's own executor, which spares the calls through any_io_executor. Each connection has a
// buffer, read_size bytes allocated once, as is the custom: Asio reads into what it was given before there was
// anything to read. Of the buffer's memory only the pages that were read into are ever used.
#include <cstdlib>
#include <memory>
#include <utility>

#include <asio/buffer.hpp>
#include <asio/error_code.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/write.hpp>

#include "server.hpp"

namespace {

using asio::ip::tcp;
using executor = asio::io_context::executor_type;
using tcp_socket = tcp::socket::rebind_executor<executor>::other;
using tcp_acceptor = tcp::acceptor::rebind_executor<executor>::other;

struct connection {
    explicit connection(tcp_socket accepted) : socket{std::move(accepted)} {}

    tcp_socket socket;
    char buffer[bench::read_size];  // not cleared: that would touch all of it
};

// One operation at a time, and it owns the connection: an error drops it, and so closes the socket.
using owner = std::unique_ptr<connection>;

void read(owner from);

void write(owner to, std::size_t size) {
    connection& of = *to;
    asio::async_write(of.socket, asio::buffer(of.buffer, size),
                      [to = std::move(to)](const asio::error_code& error, std::size_t) mutable {
                          if (!error) read(std::move(to));
                      });
}

void read(owner from) {
    connection& of = *from;
    of.socket.async_read_some(
        asio::buffer(of.buffer),
        [from = std::move(from)](const asio::error_code& error, std::size_t got) mutable {
            if (!error) write(std::move(from), got);
        });
}

void accept_next(tcp_acceptor& acceptor) {
    acceptor.async_accept([&acceptor](const asio::error_code& error, tcp_socket made) {
        if (error) std::abort();
        read(std::make_unique<connection>(std::move(made)));
        accept_next(acceptor);
    });
}

}  // namespace

int main() {
    asio::io_context loop{ASIO_CONCURRENCY_HINT_UNSAFE};
    tcp_acceptor acceptor{loop, tcp::v4(), bench::listening_descriptor};
    accept_next(acceptor);
    loop.run();
}
