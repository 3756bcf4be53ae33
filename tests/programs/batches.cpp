// programs/batches - changes a bag many times between two selects, for strace to count.
//
//     batches BACKEND SOCKETS ADDS REMOVES LAPS
//
// SOCKETS are put in beforehand. Between two selects the first REMOVES of those are taken out and
// ADDS of as many others put in; then, LAPS times, all of the former are taken out and, a select later, put
// in again (then REMOVES has to be 0). With 0 the rest is the same, so the difference is what they cost.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <utility>
#include <vector>

#include <selectors/selectors.hpp>

int main(int argc, char** argv) {
    if (argc != 6) {
        std::fputs("batches BACKEND SOCKETS ADDS REMOVES LAPS\n", stderr);
        return 2;
    }
    const auto number = [&](int at) { return static_cast<std::size_t>(std::atol(argv[at])); };
    std::vector<selectors::socket> old, fresh;
    for (std::size_t i = 0; i < number(2); ++i) {
        auto [one, other] = selectors::socket::pair(selectors::nonblocking);
        old.push_back(std::move(one));
        fresh.push_back(std::move(other));
    }
    selectors::selector<> bag{argv[1]};
    for (const selectors::socket& each : old) bag.add(each, selectors::event::read);
    if (!bag.select(std::chrono::seconds{0}).empty()) return 1;

    for (std::size_t i = 0; i < number(3); ++i) bag.add(fresh[i], selectors::event::read);
    for (std::size_t i = 0; i < number(4); ++i) bag.remove(old[i]);

    if (!bag.select(std::chrono::seconds{0}).empty()) return 1;

    for (std::size_t lap = 0; lap < number(5); ++lap) {
        for (const selectors::socket& each : old) bag.remove(each);
        if (!bag.select(std::chrono::seconds{0}).empty()) return 1;
        for (const selectors::socket& each : old) bag.add(each, selectors::event::read);
    }
    return 0;
}
