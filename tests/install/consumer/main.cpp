// The article's bag: a listener in it, somebody connects, the bag says so.
#include <cstdio>

#include <selectors/selectors.hpp>
namespace sel = selectors;

int main() {
    sel::socket server = sel::listen("localhost", 0);
    sel::selector bag;
    bag.add(server, sel::event::read);

    // Caught by its own type, although it was thrown on the other side of the library's edge.
    try {
        bag.add(server, sel::event::read);
        return 1;
    } catch (const sel::already_registered&) {
        std::puts("Already there.");
    }

    auto visitor = sel::or_throw(sel::connect(sel::or_throw(server.local_address())));
    for (auto [key, events] : bag.select()) {
        std::puts("About to accept.");
        auto [client, peer] = sel::or_throw(key.socket().accept());
        std::puts("Accepted.");
    }
}
