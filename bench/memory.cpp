// How many bytes a key costs in the bag, beside the data that the user attaches: what the C library's
// heap holds after N keys were put in, less what it held before. Tables grow by doubling, so a bag
// that has just grown has more room than it needs: that worst moment on the way is printed as well.
// And how many bytes a connection costs in the loop: one watch, one timer that is armed, the loop's books.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <type_traits>
#include <vector>

#include <malloc.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <selectors/async.hpp>

#include "harness.hpp"

namespace sel = selectors;

namespace {

constexpr double budget = 64;
constexpr double loop_budget = 512;
constexpr double timer_budget = 64;

/// What a server keeps beside a connection, for example.
struct connection {
    std::uint64_t pending[6];
};

double heap() {
    const auto held = mallinfo2();
    return static_cast<double>(held.uordblks + held.hblkhd);
}

/// Copies of one descriptor that is never ready.
class copies {
  public:
    explicit copies(std::size_t count) {
        made_.reserve(count + 1);
        made_.push_back(::eventfd(0, EFD_CLOEXEC));
        while (made_.size() < count) made_.push_back(::dup(made_[0]));
        if (made_.back() < 0) bench::die("dup failed.");
    }
    copies(const copies&) = delete;
    ~copies() {
        for (const int each : made_) ::close(each);
    }
    int operator[](std::size_t index) const { return made_[index]; }

  private:
    std::vector<int> made_;
};

struct figures {
    double empty;  ///< bytes of a bag with nothing in it
    double full;   ///< bytes a key once all are in it, those of the empty bag among them
    double worst;  ///< the most bytes a key from a thousand keys on, those of the empty bag apart
};

template <class Data>
figures measure(const char* backend, std::size_t keys) {
    const double attached = std::is_same_v<Data, sel::none> ? 0 : sizeof(Data);
    const double before = heap();
    sel::selector<Data> bag{backend};  // first, as in a program: its own descriptors are low ones
    const double begun = heap();
    const copies descriptors{keys};
    const double copied = heap() - begun;
    figures made{begun - before, 0, 0};
    for (std::size_t count = 1; count <= keys; ++count) {
        bag.add(descriptors[count - 1], sel::event::read);
        if (count < 1000 || count % 16 != 0) continue;
        const double taken = (heap() - begun - copied) / static_cast<double>(count);
        made.worst = std::max(made.worst, taken - attached);
    }
    (void)bag.select(std::chrono::seconds{0});  // some allocate when they first wait
    made.full = (heap() - before - copied) / static_cast<double>(keys) - attached;
    return made;
}

/// True if the budget is kept.
template <class Data>
bool report(const char* backend, const char* data, std::size_t keys) {
    const figures made = measure<Data>(backend, keys);
    const bool kept = made.full <= budget;
    if (std::is_same_v<Data, sel::none>)
        bench::print_row(std::string{"bytes of an empty bag, "} + backend,
                         bench::text("%.0f", made.empty), "");
    bench::print_row(
        "bytes a key beyond its data, " + std::to_string(keys) + " keys, " + data + ", " + backend,
        bench::text("%.1f", made.full), "worst on the way " + bench::text("%.1f", made.worst),
        bench::text("<= %.0f", budget) + (kept ? " ok" : " OVER"));
    return kept;
}

/// What a server keeps of a connection for the loop. The callbacks capture as much as fits into them.
struct handles {
    sel::watch reading;
    sel::timer idle;
};

/// True if the budget is kept.
bool report_loop(const char* backend, std::size_t connections) {
    const double before = heap();
    sel::loop loop{backend};
    const double begun = heap();
    const copies descriptors{connections};
    std::vector<handles> made;
    made.reserve(connections);
    const double reserved = heap();
    for (std::size_t i = 0; i < connections; ++i) {
        struct {
            void* owner[4];
        } const captured{};
        const auto nothing = [captured](auto...) { (void)captured; };
        made.push_back({loop.watch(descriptors[i], sel::event::read, nothing),
                        loop.after(std::chrono::hours{1}, nothing)});
    }
    (void)loop.run_once(std::chrono::seconds{0});
    const double per_heap = (heap() - reserved) / static_cast<double>(connections);
    const double whole = per_heap + sizeof(handles);
    const bool kept = whole <= loop_budget;
    bench::print_row(std::string{"bytes of a loop with nothing on it, "} + backend,
                     bench::text("%.0f", begun - before), "");
    bench::print_row("bytes a connection of the loop, " + std::to_string(connections) + ", " + backend,
                     bench::text("%.1f", whole),
                     bench::text("%.1f of them", per_heap) +
                         bench::text(" heap, %.0f handles", sizeof(handles)),
                     bench::text("<= %.0f", loop_budget) + (kept ? " ok" : " OVER"));
    return kept;
}

int measured(int count, char** values) {
    bench::options given{
        count, values,
        "memory: bytes a key in the bag, and a connection of the loop. Ends with 1 if\n"
        "they are over the budget."};
    const long keys = given.number("--keys", 15000, "descriptors in the bag, more than 1,000");
    const std::string only = given.text("--backend", "", "only that mechanism");
    given.finish();
    if (keys <= 1000) bench::die("--keys wants more than 1000.");

    bench::allow_descriptors(keys);
    bool kept = true;
    for (const sel::backend_info& each : sel::backends()) {
        if (!each.available || (!only.empty() && only != each.name)) continue;
        kept &= report<sel::none>(each.name, "no data", static_cast<std::size_t>(keys));
        kept &= report<connection>(each.name, "48 bytes", static_cast<std::size_t>(keys));
        kept &= report_loop(each.name, static_cast<std::size_t>(keys));
    }
    // All there is: the loop keeps nothing of a timer, and arming allocates nothing.
    kept &= sizeof(sel::timer) <= timer_budget;
    bench::print_row(
        "bytes a timer, with a word of its callback's", std::to_string(sizeof(sel::timer)), "",
        bench::text("<= %.0f", timer_budget) + (sizeof(sel::timer) <= timer_budget ? " ok" : " OVER"));
    return kept ? 0 : 1;
}

}  // namespace

int main(int count, char** values) {
    return bench::explaining([&] { return measured(count, values); });
}
