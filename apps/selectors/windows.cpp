#include <thread>

#include <windows.h>

#include "platform.hpp"

namespace sel = selectors;

namespace app {

void occupy_standard_descriptors() {}  // no socket takes the place of those

void lift_descriptor_limit() {}

/// A console or a pipe cannot be waited for beside sockets: a thread reads it, and what it reads comes
/// through a pair of them. It ends with stdin, or with the process.
keyboard::keyboard() {
    auto [readable, writable] = sel::socket::pair();
    readable.set_mode(sel::nonblocking);
    readable_ = readable.release();  // as stdin itself, until the process ends
    std::thread{[to = std::move(writable)] {
        const HANDLE console = ::GetStdHandle(STD_INPUT_HANDLE);
        char room[4096];
        DWORD size = 0;
        while (::ReadFile(console, room, sizeof room, &size, nullptr) && size > 0)
            if (!to.send({room, size})) break;
    }}.detach();
}

sel::result<std::size_t> keyboard::read(std::span<char> room) const {
    return readable_.recv({room.data(), room.size()});
}

}  // namespace app
