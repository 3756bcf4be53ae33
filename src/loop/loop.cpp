#include <selectors/loop.hpp>

#include "loop/readiness.hpp"
#include "loop/state.hpp"

namespace selectors {

using detail::letter;
using detail::loop_state;

loop_observer::~loop_observer() = default;

namespace {

/// A callback that was posted or deferred.
struct task final : letter {
    task(callback<void()>&& what, const std::source_location& from, bool later)
        : letter{&read_task}, where{from}, deferred{later}, work{std::move(what)} {}

    static void read_task(letter& self, loop_state* on) {
        const std::unique_ptr<task> owned{static_cast<task*>(&self)};
        if (!on) return;
        ++(owned->deferred ? on->stats.deferred : on->stats.posts);
        on->call(owned->deferred ? "defer" : "post", owned->where, owned->work);
    }

    std::source_location where;
    bool deferred;
    callback<void()> work;
};

}  // namespace

loop::loop(backend_handle own)
    : state_{new loop_state{std::make_unique<detail::readiness_driver>(std::move(own))}} {}

loop::~loop() {
    state_->close();
    state_->let_go();
}

void loop::run() {
    state_->run();
}

std::size_t loop::turn_until(clock::time_point deadline) {
    return state_->run_once(deadline);
}

std::size_t loop::turn_for(std::chrono::nanoseconds timeout) {
    return state_->run_once(detail::after(state_->clock(), timeout));
}

void loop::stop() noexcept {
    state_->stop();
}

void loop::wake() noexcept {
    state_->wake();
}

void loop::post(callback<void()> work, location where) {
    state_->post(*new task{std::move(work), where, false});
}

void loop::defer(callback<void()> work, location where) {
    state_->defer(*new task{std::move(work), where, true});
}

loop::clock::time_point loop::now() const noexcept {
    return state_->now();
}

void loop::spin(std::chrono::nanoseconds duration) noexcept {
    if (!state_->closed()) state_->carrier().spin(duration);
}

void loop::observe(loop_observer* observer) noexcept {
    state_->observer = observer;
}

loop_stats loop::stats() const noexcept {
    return state_->stats;
}

}  // namespace selectors
