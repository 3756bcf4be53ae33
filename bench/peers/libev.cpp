// libev: ev_timer_start and ev_timer_stop; to arm anew, ev_timer_again, which moves a timer in the heap
// where it is. It counts in double seconds from the loop's cached time.
#include <ev.h>

#include "peer.hpp"

namespace bench {
namespace {

class libev final : public peer {
  public:
    explicit libev(std::size_t timers) : loop_{ev_loop_new(EVFLAG_AUTO)}, timers_(timers) {
        for (ev_timer& timer : timers_) {
            ev_timer_init(&timer, count, 0., 0.);
            timer.data = this;
        }
    }
    ~libev() override {
        for (ev_timer& timer : timers_) ev_timer_stop(loop_, &timer);
        ev_loop_destroy(loop_);
    }

    const char* name() const override { return "libev"; }
    void look_at_the_clock() override { ev_now_update(loop_); }
    void arm(const steps& all) override {
        for (const step& each : all) {
            ev_timer& timer = timers_[each.timer];
            ev_timer_set(&timer, seconds(each), 0.);
            ev_timer_start(loop_, &timer);
        }
    }
    void arm_anew(const steps& all) override {
        for (const step& each : all) {
            ev_timer& timer = timers_[each.timer];
            timer.repeat = seconds(each);
            ev_timer_again(loop_, &timer);
        }
    }
    void push_out(const steps& all) override { arm_anew(all); }
    void cancel(const steps& all) override {
        for (const step& each : all) ev_timer_stop(loop_, &timers_[each.timer]);
    }
    std::size_t fire() override {
        fired_ = 0;
        ev_run(loop_, EVRUN_NOWAIT);
        return fired_;
    }

  private:
    static double seconds(const step& of) { return static_cast<double>(of.after.count()) * 1e-9; }
    static void count(struct ev_loop*, ev_timer* timer, int) {
        ++static_cast<libev*>(timer->data)->fired_;
    }

    struct ev_loop* loop_;
    std::vector<ev_timer> timers_;
    std::size_t fired_ = 0;
};

}  // namespace

std::unique_ptr<peer> make_libev(std::size_t timers) {
    return std::make_unique<libev>(timers);
}

}  // namespace bench
