// faults/probe.cpp - uses a bag for everything it can, while somebody makes its system calls fail.
//
//     strace -f -e inject=epoll_ctl:error=ENOMEM:when=2 probe epoll
//
// Every exception is printed and gone past, as a program would that goes on. At the end the same bag, or
// a fresh one if there never was any, must work, and no descriptor may have leaked: then it ends with 0.
#include <array>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <system_error>

#include <dirent.h>
#include <sys/wait.h>
#include <unistd.h>

#include <selectors/selectors.hpp>

namespace sel = selectors;
using namespace std::chrono_literals;

namespace {

int open_descriptors() {
    DIR* folder = ::opendir("/proc/self/fd");
    if (!folder) return -1;
    int count = 0;
    while (::readdir(folder)) ++count;
    ::closedir(folder);
    return count;
}

/// Prints what it throws; true if it threw nothing.
bool attempt(const char* what, const std::function<void()>& action) {
    try {
        action();
        return true;
    } catch (const std::system_error& failed) {
        std::cout << what << ": " << failed.what() << " [" << failed.code().value() << "]" << std::endl;
    } catch (const sel::not_registered&) {
        std::cout << what << ": was not added" << std::endl;
    }
    return false;
}

/// Everything once; whatever fails, the bag must be as if it had not been asked.
void use(sel::selector<int>& bag, sel::socket_view a, sel::socket_view b) {
    attempt("add", [&] { bag.add(a, sel::event::read, 1); });
    attempt("add oneshot", [&] { bag.add(b, sel::event::write, 2, sel::trigger::oneshot); });
    attempt("select", [&] {
        for (auto [key, events] : bag.select(10ms))
            if (events & sel::event::error) std::cout << "reported: " << to_string(events) << std::endl;
    });
    attempt("modify", [&] { bag.modify(a, sel::event::read | sel::event::write); });
    attempt("modify oneshot", [&] { bag.modify(b, sel::event::write); });
    attempt("select", [&] {
        for (auto [key, events] : bag.select(10ms))
            if (events & sel::event::error) std::cout << "reported: " << to_string(events) << std::endl;
    });
    bag.wake();
    attempt("select after a wake", [&] { (void)bag.select(); });
    attempt("remove", [&] { bag.remove(a); });
    attempt("remove oneshot", [&] { bag.remove(b); });
}

/// The one failure may still be to come, so it has two tries.
bool works(sel::selector<int>& bag, sel::socket_view a, sel::socket_view b) {
    if (!bag.empty()) return false;
    const auto receives = [&] {
        int seen = 0;
        for (auto [key, events] : bag.select(1s)) seen += events == sel::event::read && key.data == 1;
        return seen == 1;
    };
    if (!attempt("add at last", [&] { bag.add(a, sel::event::read, 1); }))
        bag.add(a, sel::event::read, 1);
    if (!b.send("x")) return false;
    bool seen = false;
    attempt("select at last", [&] { seen = receives(); });
    if (!seen && !receives()) return false;
    std::array<char, 8> room;
    if (!a.recv(room)) return false;
    attempt("select of nothing", [&] { seen = bag.select(1ms).empty(); });
    bag.remove(a);
    return seen;
}

bool works_in_a_child(sel::selector<int>& bag, sel::socket_view a, sel::socket_view b) {
    const int before = open_descriptors();  // here: a kqueue the child does not inherit
    const pid_t child = ::fork();
    if (child == 0) {
        use(bag, a, b);
        bool fine = false;
        attempt("in the child", [&] { fine = works(bag, a, b); });
        std::cout.flush();
        ::_exit(fine && open_descriptors() == before ? 0 : 1);
    }
    int status = 1;
    ::waitpid(child, &status, 0);
    return status == 0;
}

bool probe(const std::string& backend) {
    auto [a, b] = sel::socket::pair(sel::nonblocking);
    std::unique_ptr<sel::selector<int>> bag;
    for (int tries = 0; !bag && tries < 5; ++tries)
        attempt("open", [&] { bag = std::make_unique<sel::selector<int>>(backend); });
    if (!bag) return false;
    use(*bag, a, b);
    return works(*bag, a, b) && works_in_a_child(*bag, a, b) && works(*bag, a, b);
}

}  // namespace

int main(int argc, char** argv) {
    const std::string backend = argc > 1 ? argv[1] : "epoll";
    const int before = open_descriptors();
    const bool fine = probe(backend);
    const int leaked = open_descriptors() - before;
    std::cout << (fine ? "works" : "DOES NOT WORK") << ", " << leaked << " descriptors leaked"
              << std::endl;
    return fine && leaked == 0 ? 0 : 1;
}
