#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <selectors/pool.hpp>

namespace selectors {
namespace {

/// Where so many wait for each other. Not std::latch: libstdc++ 12's loses wake-ups where there is no futex,
/// as on Windows.
class meeting {
  public:
    explicit meeting(std::size_t missing) : missing_{missing} {}

    void wait_for_all() {
        std::unique_lock lock{changing_};
        if (--missing_ == 0) all_here_.notify_all();
        all_here_.wait(lock, [&] { return missing_ == 0; });
    }
    /// So many will not come.
    void do_without(std::size_t count) {
        const std::lock_guard lock{changing_};
        missing_ -= count;
        all_here_.notify_all();
    }

  private:
    std::mutex changing_;
    std::condition_variable all_here_;
    std::size_t missing_;
};

}  // namespace

struct pool::state {
    state(std::size_t count, std::string_view backend_name) : backend{backend_name}, loops(count) {}

    std::string backend;
    /// Each is on its thread's stack; null while there is none.
    std::vector<std::atomic<loop*>> loops;
    std::atomic<bool> running = false;
    std::atomic<bool> stopping = false;
    std::atomic<unsigned> stoppers = 0;  ///< are looking at the loops: none may go
    std::atomic<std::size_t> turn = 0;
    std::mutex failing;
    std::exception_ptr failure;

    void member(std::size_t index, callback<void(loop&)>& work, meeting& made, meeting& done);
    void fail() noexcept;
    void stop_all() noexcept;
    void forget(std::size_t index) noexcept;
};

pool::pool(std::size_t loops, std::string_view backend_name)
    : state_{new state{loops > 0 ? loops : std::max(1U, std::thread::hardware_concurrency()),
                       backend_name}} {}

pool::~pool() {
    delete state_;
}

/// What each thread does. Nobody begins before all loops are there, and no loop goes before all are done:
/// so anybody may post to anybody.
void pool::state::member(std::size_t index, callback<void(loop&)>& work, meeting& made, meeting& done) {
    std::optional<loop> own;
    try {
        own.emplace(backend.empty() ? open_backend() : open_backend(backend));
        loops[index] = &*own;
    } catch (...) {
        fail();
    }
    made.wait_for_all();
    try {
        const bool all_here =
            std::ranges::all_of(loops, [](const auto& each) { return each != nullptr; });
        if (stopping && own) own->stop();
        if (all_here) work(*own);
    } catch (...) {
        fail();
    }
    done.wait_for_all();
    forget(index);
}

/// Keeps the exception that is being handled, if it is the first, and ends everybody.
void pool::state::fail() noexcept {
    const std::lock_guard lock{failing};
    if (failure) return;
    failure = std::current_exception();
    stop_all();
}

/// Async-signal-safe: no lock, and no loop goes while it looks at them.
void pool::state::stop_all() noexcept {
    ++stoppers;
    stopping = true;
    for (auto& each : loops)
        if (loop* there = each) there->stop();
    --stoppers;
}

void pool::state::forget(std::size_t index) noexcept {
    loops[index] = nullptr;
    while (stoppers > 0) std::this_thread::yield();
}

void pool::run(callback<void(loop&)> work) {
    state& s = *state_;
    if (s.running.exchange(true)) throw std::logic_error("the pool is running already");
    const std::size_t count = s.loops.size();
    meeting made{count};
    meeting done{count};
    {
        std::vector<std::jthread> others;
        try {
            others.reserve(count - 1);
            while (others.size() + 1 < count)
                others.emplace_back(
                    [&, index = others.size() + 1] { s.member(index, work, made, done); });
        } catch (...) {
            s.fail();
            made.do_without(count - 1 - others.size());
            done.do_without(count - 1 - others.size());
        }
        s.member(0, work, made, done);
    }
    s.stopping = false;
    s.running = false;
    if (std::exception_ptr failure = std::exchange(s.failure, nullptr)) std::rethrow_exception(failure);
}

void pool::stop() noexcept {
    state_->stop_all();
}

std::size_t pool::size() const noexcept {
    return state_->loops.size();
}

loop& pool::at(std::size_t index) noexcept {
    return *state_->loops[index];
}

loop& pool::next() noexcept {
    return at(state_->turn++ % size());
}

}  // namespace selectors
