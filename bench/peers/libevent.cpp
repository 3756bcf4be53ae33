// libevent: evtimer_add, also to arm anew, and evtimer_del. It has a cached time only while it runs
// callbacks, and otherwise asks the clock each time: so everything is done from a callback, as in a program.
#include <event2/event.h>
#include <event2/event_struct.h>

#include "peer.hpp"

namespace bench {
namespace {

class libevent final : public peer {
  public:
    explicit libevent(std::size_t timers) : base_{event_base_new()}, timers_(timers) {
        for (event& timer : timers_) evtimer_assign(&timer, base_, count, this);
    }
    ~libevent() override {
        for (event& timer : timers_) evtimer_del(&timer);
        event_base_free(base_);
    }

    const char* name() const override { return "libevent"; }
    void look_at_the_clock() override {}
    void arm(const steps& all) override {
        in_a_callback([&] {
            for (const step& each : all) {
                const timeval after = seconds(each);
                evtimer_add(&timers_[each.timer], &after);
            }
        });
    }
    void arm_anew(const steps& all) override { arm(all); }
    void push_out(const steps& all) override { arm(all); }
    void cancel(const steps& all) override {
        in_a_callback([&] {
            for (const step& each : all) evtimer_del(&timers_[each.timer]);
        });
    }
    std::size_t fire() override {
        fired_ = 0;
        event_base_loop(base_, EVLOOP_NONBLOCK);
        return fired_;
    }

  private:
    static timeval seconds(const step& of) {
        const auto nanoseconds = of.after.count();
        return {nanoseconds / 1'000'000'000, nanoseconds % 1'000'000'000 / 1000};
    }
    static void count(evutil_socket_t, short, void* of) { ++static_cast<libevent*>(of)->fired_; }

    template <class Work>
    void in_a_callback(Work work) {
        const auto call = [](evutil_socket_t, short, void* of) { (*static_cast<Work*>(of))(); };
        event now;
        event_assign(&now, base_, -1, 0, call, &work);
        event_active(&now, EV_TIMEOUT, 0);
        event_base_loop(base_, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    }

    event_base* base_;
    std::vector<event> timers_;
    std::size_t fired_ = 0;
};

}  // namespace

std::unique_ptr<peer> make_libevent(std::size_t timers) {
    return std::make_unique<libevent>(timers);
}

}  // namespace bench
