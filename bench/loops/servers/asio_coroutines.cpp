// Asio with coroutines: one for each connection, its buffer in its frame. One thread, and the context is told so: no
// locks. Sockets and coroutines name the context's own executor, which spares the calls through any_io_executor, and
// errors come as values: an exception for each connection that ends would be dear.
#include <cstdlib>
#include <utility>

#include <asio/awaitable.hpp>
#include <asio/buffer.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/error_code.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/write.hpp>

#include "server.hpp"

namespace {

using asio::ip::tcp;
using executor = asio::io_context::executor_type;
using tcp_socket = tcp::socket::rebind_executor<executor>::other;
using tcp_acceptor = tcp::acceptor::rebind_executor<executor>::other;
using task = asio::awaitable<void, executor>;

constexpr asio::use_awaitable_t<executor> use_awaitable;

task echo(tcp_socket socket) {
    char buffer[bench::read_size];
    asio::error_code error;
    for (;;) {
        const std::size_t got = co_await socket.async_read_some(
            asio::buffer(buffer), asio::redirect_error(use_awaitable, error));
        if (error) co_return;
        co_await asio::async_write(socket, asio::buffer(buffer, got),
                                   asio::redirect_error(use_awaitable, error));
        if (error) co_return;
    }
}

task accept_all(tcp_acceptor& acceptor) {
    asio::error_code error;
    for (;;) {
        tcp_socket made = co_await acceptor.async_accept(asio::redirect_error(use_awaitable, error));
        if (error) std::abort();
        asio::co_spawn(acceptor.get_executor(), echo(std::move(made)), asio::detached);
    }
}

}  // namespace

int main() {
    asio::io_context loop{ASIO_CONCURRENCY_HINT_UNSAFE};
    tcp_acceptor acceptor{loop, tcp::v4(), bench::listening_descriptor};
    asio::co_spawn(loop, accept_all(acceptor), asio::detached);
    loop.run();
}
