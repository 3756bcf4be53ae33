// programs/doorkeeper.cpp - an echo server on the loop, to be starved, reset and stopped: test_listener.py.
//
//     doorkeeper PATIENCE   listens on a free port of loopback, which it prints; closes who has waited for so
//                           many milliseconds while there was no descriptor for anybody; SIGTERM ends it,
//                           and it says then what its listener has met
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <list>

#include <selectors/async.hpp>

namespace sel = selectors;
using namespace std::chrono_literals;

namespace {

struct connection {
    sel::socket peer;
    sel::watch reading;
};

sel::loop* stopped_by_signal = nullptr;

/// False once there is nothing more to come. What the peer does not take is its loss.
bool echo(sel::socket_view peer) {
    std::array<char, 4096> room;
    const auto got = peer.recv(room);
    if (!got) return got.error() == sel::errc::would_block;
    return *got > 0 && peer.send({room.data(), *got}).has_value();
}

}  // namespace

int main(int argc, char** argv) {
    const std::chrono::milliseconds patience{argc > 1 ? std::atoi(argv[1]) : 1000};
    sel::loop loop;
    stopped_by_signal = &loop;
    std::signal(SIGTERM, [](int) { stopped_by_signal->stop(); });
    std::list<connection> inside;
    const sel::listener door{loop,
                             sel::listen("127.0.0.1:0"),
                             [&](sel::accepted guest) {
                                 inside.push_front({std::move(guest.socket), {}});
                                 const auto here = inside.begin();
                                 here->reading =
                                     loop.watch(here->peer, sel::event::read, [&, here](sel::event) {
                                         if (echo(here->peer)) return;
                                         here->reading = {};
                                         inside.erase(here);
                                     });
                             },
                             {.patience = patience}};
    std::printf("listening on %s\n", door.local_address().text().c_str());
    std::fflush(stdout);
    loop.run();
    const sel::loop_stats met = loop.stats();
    std::printf("accepts %llu sheds %llu pauses %llu aborted %llu\n",
                static_cast<unsigned long long>(met.accepts),
                static_cast<unsigned long long>(met.sheds), static_cast<unsigned long long>(met.pauses),
                static_cast<unsigned long long>(met.aborted));
}
