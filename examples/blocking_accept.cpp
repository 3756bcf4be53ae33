// The article's first program: accept() blocks until somebody connects.
//
//     blocking_accept [port]        then, in another window: nc localhost 7342
#include <cstdio>
#include <cstdlib>

#include <selectors/selectors.hpp>

namespace sel = selectors;

int main(int argc, char** argv) {
    const auto port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 7342);

    sel::socket server = sel::socket::tcp();
    server.bind("localhost", port);
    server.listen();
    std::puts("About to accept:");
    auto [client, peer] = sel::or_throw(server.accept());
    std::puts("Call to `accept` returned.");
}
