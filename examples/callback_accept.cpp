// The article's third program: the data attached to a socket is a callback that handles its events.
//
//     callback_accept [port]        then, in another window: nc localhost 7342
#include <cstdio>
#include <cstdlib>

#include <selectors/selectors.hpp>

namespace sel = selectors;

void accept_connection(sel::socket_view server) {
    std::puts("About to accept.");
    auto [client, peer] = sel::or_throw(server.accept());
    std::puts("Accepted.");
}

int main(int argc, char** argv) {
    const auto port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 7342);

    // Set up the server
    sel::socket server = sel::socket::tcp();
    server.bind("localhost", port);
    server.listen();

    // Set up the selectors "bag of sockets"
    sel::selector<sel::callback<void(sel::socket_view)>> bag;
    bag.add(server, sel::event::read, accept_connection);

    for (;;) {
        for (auto [key, events] : bag.select()) {
            auto& callback = key.data;
            callback(key.socket());
        }
    }
}
