// The article's second program: accept() only when a connection is there.
//
//     selector_accept [port]        then, in another window: nc localhost 7342
#include <cstdio>
#include <cstdlib>

#include <selectors/selectors.hpp>

namespace sel = selectors;

int main(int argc, char** argv) {
    const auto port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 7342);

    // Set up the server
    sel::socket server = sel::socket::tcp();
    server.bind("localhost", port);
    server.listen();

    // Set up the selectors "bag of sockets"
    sel::selector bag;
    bag.add(server, sel::event::read);

    for (;;) {
        for (auto [key, events] : bag.select()) {
            std::puts("About to accept.");
            auto [client, peer] = sel::or_throw(key.socket().accept());
            std::puts("Accepted.");
        }
    }
}
