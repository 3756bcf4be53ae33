// libuv: uv_timer_start, also to arm anew, and uv_timer_stop. It counts in milliseconds from the loop's
// cached time.
#include <uv.h>

#include "peer.hpp"

namespace bench {
namespace {

class libuv final : public peer {
  public:
    explicit libuv(std::size_t timers) : timers_(timers) {
        uv_loop_init(&loop_);
        for (uv_timer_t& timer : timers_) {
            uv_timer_init(&loop_, &timer);
            timer.data = this;
        }
    }
    ~libuv() override {
        for (uv_timer_t& timer : timers_) uv_close(reinterpret_cast<uv_handle_t*>(&timer), nullptr);
        uv_run(&loop_, UV_RUN_DEFAULT);
        uv_loop_close(&loop_);
    }

    const char* name() const override { return "libuv"; }
    void look_at_the_clock() override { uv_update_time(&loop_); }
    void arm(const steps& all) override {
        for (const step& each : all) uv_timer_start(&timers_[each.timer], count, milliseconds(each), 0);
    }
    void arm_anew(const steps& all) override { arm(all); }
    void push_out(const steps& all) override { arm(all); }
    void cancel(const steps& all) override {
        for (const step& each : all) uv_timer_stop(&timers_[each.timer]);
    }
    std::size_t fire() override {
        fired_ = 0;
        uv_run(&loop_, UV_RUN_NOWAIT);
        return fired_;
    }

  private:
    static std::uint64_t milliseconds(const step& of) {
        return static_cast<std::uint64_t>(of.after.count()) / 1'000'000;
    }
    static void count(uv_timer_t* timer) { ++static_cast<libuv*>(timer->data)->fired_; }

    uv_loop_t loop_;
    std::vector<uv_timer_t> timers_;
    std::size_t fired_ = 0;
};

}  // namespace

std::unique_ptr<peer> make_libuv(std::size_t timers) {
    return std::make_unique<libuv>(timers);
}

}  // namespace bench
