// Asio: expires_at and async_wait of a steady_timer, which is also how one is armed anew; cancel. It has no
// cached time: the deadlines are counted from a time that was read once. A wait that was cancelled completes
// with an error, which the loop has to bring to its handler: that is part of what arming anew and cancelling
// cost. One thread, no locks (ASIO_CONCURRENCY_HINT_UNSAFE).
#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>

#include "peer.hpp"

namespace bench {
namespace {

class with_asio final : public peer {
  public:
    explicit with_asio(std::size_t timers) : loop_{ASIO_CONCURRENCY_HINT_UNSAFE} {
        timers_.reserve(timers);
        for (std::size_t i = 0; i < timers; ++i) timers_.emplace_back(loop_);
    }

    const char* name() const override { return "Asio"; }
    void look_at_the_clock() override { now_ = asio::steady_timer::clock_type::now(); }
    void arm(const steps& all) override {
        for (const step& each : all) {
            asio::steady_timer& timer = timers_[each.timer];
            timer.expires_at(now_ + each.after);
            timer.async_wait([this](const asio::error_code& error) { fired_ += !error; });
        }
    }
    void arm_anew(const steps& all) override {
        arm(all);
        fire();
    }
    void push_out(const steps& all) override { arm_anew(all); }
    void cancel(const steps& all) override {
        for (const step& each : all) timers_[each.timer].cancel();
        fire();
    }
    std::size_t fire() override {
        fired_ = 0;
        loop_.restart();
        loop_.poll();
        return fired_;
    }

  private:
    asio::io_context loop_;
    std::vector<asio::steady_timer> timers_;
    asio::steady_timer::time_point now_;
    std::size_t fired_ = 0;
};

}  // namespace

std::unique_ptr<peer> make_asio(std::size_t timers) {
    return std::make_unique<with_asio>(timers);
}

}  // namespace bench
