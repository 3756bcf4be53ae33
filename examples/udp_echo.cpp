// Sends every datagram back to where it came from.
//
//     udp_echo [address]            127.0.0.1:7342 unless told otherwise; port 0 lets the system choose
#include <array>
#include <cstdio>
#include <string_view>

#include <selectors/selectors.hpp>

namespace sel = selectors;

void echo(sel::socket_view server) {
    static std::array<char, 64 * 1024> buffer;  // no datagram is larger
    for (int i = 0; i < 64; ++i) {
        const auto datagram = server.recvfrom(buffer);
        if (!datagram) return;  // would block: the queue is empty
        // Should there be no room to send it, it is lost, as datagrams may be.
        (void)server.sendto({buffer.data(), datagram->size}, datagram->from);
    }
}

int main(int argc, char** argv) try {
    const auto where = sel::or_throw(sel::resolve(argc > 1 ? argv[1] : "127.0.0.1:7342"))[0];
    sel::socket server = sel::socket::udp(where.kind(), sel::nonblocking);
    server.bind(where);
    std::printf("listening on %s\n", sel::or_throw(server.local_address()).text().c_str());
    std::fflush(stdout);

    sel::selector bag;
    bag.add(server, sel::event::read);
    for (;;)
        for (auto [key, events] : bag.select()) echo(key.socket());
} catch (const std::exception& problem) {
    std::fprintf(stderr, "udp_echo: %s\n", problem.what());
    return 2;
}
