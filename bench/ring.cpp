// The pipes ring, as libevent's bench has it: N socket pairs in a ring, A tokens going round in it.
// Whoever is readable reads one byte and writes one to the next pair, until W writes are done. Both
// contestants share the sockets, the handler and its calls; what differs is waiting and dispatch:
//
//   raw   epoll as an expert writes it: level-triggered, a pointer in the event, 1,024 events a wait
//   bag   a range-for over selector::select(), as a user writes it
//   loop  a watch with a callback for each pair, and loop::run()
#include <cerrno>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <sys/epoll.h>
#include <unistd.h>

#include <selectors/async.hpp>

#include "harness.hpp"

namespace sel = selectors;

namespace {

struct setting {
    long pairs;
    long active;
    long writes;
    std::string backend;
};

/// One place in the ring: where its tokens come in, and where they go.
struct link {
    int in;
    int out;
};

/// The tokens, and the handler that passes them on.
class game {
  public:
    explicit game(const setting& of) : writes_left_{of.writes}, reads_left_{of.writes + of.active} {}

    bool over() const noexcept { return reads_left_ == 0; }
    void pass(const link& at) noexcept {
        char token;
        if (::read(at.in, &token, 1) != 1) return;
        --reads_left_;
        if (writes_left_ == 0) return;
        --writes_left_;
        put(at);
    }
    static void put(const link& at) noexcept {
        if (::write(at.out, "t", 1) != 1) std::abort();  // a socket holds more than all the tokens
    }

  private:
    long writes_left_;
    long reads_left_;
};

class raw_ring {
  public:
    raw_ring(const std::vector<link>& links, const setting&)
        : links_{links}, set_{::epoll_create1(EPOLL_CLOEXEC)} {
        for (link& each : links_) {
            epoll_event event{};
            event.events = EPOLLIN;
            event.data.ptr = &each;
            if (::epoll_ctl(set_, EPOLL_CTL_ADD, each.in, &event) < 0) bench::die("epoll_ctl failed.");
        }
    }
    raw_ring(const raw_ring&) = delete;
    ~raw_ring() { ::close(set_); }

    void play(game& game) {
        while (!game.over()) {
            const int count = ::epoll_wait(set_, events_, 1024, -1);
            if (count < 0 && errno != EINTR) bench::die("epoll_wait failed.");
            for (int i = 0; i < count; ++i) game.pass(*static_cast<link*>(events_[i].data.ptr));
        }
    }

  private:
    std::vector<link> links_;
    int set_;
    epoll_event events_[1024];
};

class bag_ring {
  public:
    bag_ring(const std::vector<link>& links, const setting& of)
        : bag_{of.backend.empty() ? sel::open_backend() : sel::open_backend(of.backend)} {
        for (const link& each : links) bag_.add(each.in, sel::event::read, each);
    }

    void play(game& game) {
        while (!game.over())
            for (auto [key, events] : bag_.select()) game.pass(key.data);
    }

  private:
    sel::selector<link> bag_;
};

class loop_ring {
  public:
    loop_ring(const std::vector<link>& links, const setting& of)
        : loop_{of.backend.empty() ? sel::open_backend() : sel::open_backend(of.backend)} {
        for (const link& each : links)
            watches_.push_back(loop_.watch(each.in, sel::event::read, [this, &each](sel::event) {
                game_->pass(each);
                if (game_->over()) loop_.stop();
            }));
    }

    void play(game& game) {
        game_ = &game;
        loop_.run();
    }

  private:
    sel::loop loop_;
    std::vector<sel::watch> watches_;
    game* game_ = nullptr;
};

/// The CPU seconds of one round; setting up and taking down are not in it.
template <class Ring>
double round_of(const std::vector<link>& links, const setting& of) {
    const auto ring = std::make_unique<Ring>(links, of);
    game game{of};
    for (long token = 0; token < of.active; ++token)
        game::put(links[static_cast<std::size_t>(token * of.pairs / of.active)]);
    return bench::cpu_of([&] { ring->play(game); });
}

void run(const setting& of, long rounds, const std::string& only) {
    std::vector<std::pair<sel::socket, sel::socket>> pairs;
    pairs.reserve(static_cast<std::size_t>(of.pairs));
    for (long i = 0; i < of.pairs; ++i) pairs.push_back(sel::socket::pair(sel::nonblocking));
    std::vector<link> links;
    links.reserve(pairs.size());
    for (std::size_t i = 0; i < pairs.size(); ++i)
        links.push_back(
            {pairs[i].first.descriptor(), pairs[(i + 1) % pairs.size()].second.descriptor()});

    const auto raw = [&] { return round_of<raw_ring>(links, of); };
    const auto bag = [&] { return round_of<bag_ring>(links, of); };
    const auto loop = [&] { return round_of<loop_ring>(links, of); };
    // For callgrind and strace, which count one contestant and know no time.
    if (only == "raw") return void(raw());
    if (only == "bag") return void(bag());
    if (only == "loop") return void(loop());

    const auto result = bench::compare(rounds, raw, bag);
    const bool epoll = of.backend.empty() || of.backend == "epoll";
    bench::print_ratio("ring, " + std::to_string(of.pairs) + " pairs, " + std::to_string(of.active) +
                           " active: CPU, " + (epoll ? "bag" : "bag on " + of.backend) + " : raw epoll",
                       result, epoll ? 1.03 : 0);
}

int measured(int count, char** values) {
    bench::options given{count, values,
                         "ring: tokens go round a ring of socket pairs; the bag beside raw epoll."};
    setting of{};
    of.pairs = given.number("--pairs", 1000, "socket pairs in the ring");
    of.active = given.number("--active", 100, "tokens going round in it");
    of.writes = given.number("--writes", 10000, "writes in a round, all tokens together");
    of.backend = given.text("--backend", "", "the bag's mechanism: epoll, poll, select");
    const long rounds = given.number("--rounds", 61, "rounds of each contestant");
    const std::string only = given.text("--only", "", "raw, bag or loop: one round of that one");
    given.finish();
    if (!only.empty() && only != "raw" && only != "bag" && only != "loop")
        bench::die("--only wants raw, bag or loop.");
    if (of.active > of.pairs) of.active = of.pairs;
    bench::allow_descriptors(2 * of.pairs);
    run(of, rounds, only);
    return 0;
}

}  // namespace

int main(int count, char** values) {
    return bench::explaining([&] { return measured(count, values); });
}
