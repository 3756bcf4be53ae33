// The bag's verbs one by one, on every mechanism of this machine, by Google Benchmark: `micro --help`
// has its options. The bag holds a thousand sockets throughout.
#include <string>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

#include <selectors/selectors.hpp>

#include "harness.hpp"

namespace sel = selectors;

namespace {

constexpr int size = 1000;

/// A bag of a thousand connected sockets, the first `ready` of them readable.
class full_bag {
  public:
    explicit full_bag(const std::string& backend, int ready = 0) : bag{backend} {
        for (int i = 0; i < size; ++i) {
            pairs_.push_back(sel::socket::pair(sel::nonblocking));
            bag.add(pairs_.back().first, sel::event::read);
        }
        for (int i = 0; i < ready; ++i)
            if (!peer(i).send(sel::const_buffer{"x", 1})) bench::die("send failed.");
    }
    sel::socket_view peer(int index) const { return pairs_[static_cast<std::size_t>(index)].second; }
    sel::socket_view member(int index) const { return pairs_[static_cast<std::size_t>(index)].first; }

  private:
    std::vector<std::pair<sel::socket, sel::socket>> pairs_;

  public:
    sel::selector<> bag;
};

void add_remove(benchmark::State& state, const std::string& backend) {
    full_bag all{backend};
    while (state.KeepRunning()) {
        all.bag.add(all.peer(0), sel::event::read);
        all.bag.remove(all.peer(0));
    }
}

/// A change of mind that the kernel never hears of.
void modify_and_back(benchmark::State& state, const std::string& backend) {
    full_bag all{backend};
    while (state.KeepRunning()) {
        all.bag.modify(all.member(0), sel::event::read | sel::event::priority);
        all.bag.modify(all.member(0), sel::event::read);
    }
}

void modify_select(benchmark::State& state, const std::string& backend) {
    full_bag all{backend};
    bool on = false;
    while (state.KeepRunning()) {
        on = !on;
        all.bag.modify(all.member(0), on ? sel::event::read | sel::event::priority : sel::event::read);
        benchmark::DoNotOptimize(all.bag.select(std::chrono::seconds{0}).empty());
    }
}

void wake_select(benchmark::State& state, const std::string& backend) {
    full_bag all{backend};
    while (state.KeepRunning()) {
        all.bag.wake();
        benchmark::DoNotOptimize(all.bag.select().empty());
    }
}

/// Polls, and walks over what is ready; level-triggered, so that the same are ready for ever.
void select_ready(benchmark::State& state, const std::string& backend) {
    const auto ready = static_cast<int>(state.range(0));
    full_bag all{backend, ready};
    while (state.KeepRunning()) {
        int seen = 0;
        for (auto [key, events] : all.bag.select(std::chrono::seconds{0}))
            seen += events == sel::event::read;
        if (seen != ready) return state.SkipWithError("not all of them were reported");
    }
    state.SetItemsProcessed(state.iterations() * ready);
}

void enlist(const char* backend) {
    const auto enter = [&](const char* verb, auto function) {
        return benchmark::RegisterBenchmark((std::string{verb} + "/" + backend).c_str(), function,
                                            std::string{backend});
    };
    enter("add_remove", add_remove);
    enter("modify_and_back", modify_and_back);
    enter("modify_select", modify_select);
    enter("wake_select", wake_select);
    enter("select_ready", select_ready)->Arg(0)->Arg(1)->Arg(10)->Arg(100);
}

}  // namespace

int main(int count, char** values) {
    bench::allow_descriptors(2 * size);
    for (const sel::backend_info& each : sel::backends())
        if (each.available) enlist(each.name);
    benchmark::Initialize(&count, values);
    if (benchmark::ReportUnrecognizedArguments(count, values)) return 2;
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
}
