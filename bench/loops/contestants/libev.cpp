// libev: ev_io with ev_io_modify, the cheaper way to change events since it vouches that the descriptor is still the
// same; for timers ev_timer_start, and to arm anew ev_timer_again, which moves one in the heap where it is, in seconds
// from the loop's cached time; and ev_async_send to be woken. Any number of these are one callback, and they carry
// nothing: the numbers wait in a queue of the user's, and whoever finds it empty sends.
// The kernel is told in ev_run; of a stopped ev_io it is not told at all: libev takes it that it will be closed.
#include <utility>

#include <ev.h>

#include "../contestant.hpp"

namespace bench {
namespace {

/// Declared after the watchers: what is still started goes with the loop, and needs no stop.
class libev_loop {
  public:
    libev_loop() : loop_{ev_loop_new(EVFLAG_AUTO)} {
        if (loop_ == nullptr) std::abort();
    }
    libev_loop(const libev_loop&) = delete;
    ~libev_loop() { ev_loop_destroy(loop_); }

    struct ev_loop* get() const noexcept { return loop_; }
    void run(int flags) const { ev_run(loop_, flags); }

  private:
    struct ev_loop* loop_;
};

class libev_ring final : public ring {
  public:
    explicit libev_ring(std::span<const place> places)
        : places_{places.begin(), places.end()}, watchers_(places.size()) {
        for (std::size_t i = 0; i < watchers_.size(); ++i) {
            ev_io_init(&watchers_[i], ready, places_[i].in, EV_READ);
            watchers_[i].data = &places_[i];
            ev_io_start(loop_.get(), &watchers_[i]);
        }
        loop_.run(EVRUN_NOWAIT);  // the kernel is told in ev_run: before the game, not in it
    }
    void play(game& game) override {
        ev_set_userdata(loop_.get(), &game);
        loop_.run(0);
    }

  private:
    static void ready(struct ev_loop* loop, ev_io* watcher, int) {
        auto& now = *static_cast<game*>(ev_userdata(loop));
        now.pass(*static_cast<const place*>(watcher->data));
        if (now.over()) ev_break(loop, EVBREAK_ALL);
    }

    std::vector<place> places_;
    std::vector<ev_io> watchers_;
    libev_loop loop_;
};

class libev_interests final : public interests {
  public:
    explicit libev_interests(std::span<const int> descriptors) : watchers_(descriptors.size()) {
        const auto nothing = [](struct ev_loop*, ev_io*, int) {};
        for (std::size_t i = 0; i < watchers_.size(); ++i)
            ev_io_init(&watchers_[i], nothing, descriptors[i], EV_READ);
    }
    void add(std::size_t which) override { ev_io_start(loop_.get(), &watchers_[which]); }
    void widen(std::size_t which) override { modify(which, EV_READ | EV_WRITE); }
    void narrow(std::size_t which) override { modify(which, EV_READ); }
    void remove(std::size_t which) override { ev_io_stop(loop_.get(), &watchers_[which]); }
    void look() override { loop_.run(EVRUN_NOWAIT); }

  private:
    void modify(std::size_t which, int events) {
        remove(which);  // no watcher may be changed while it is started
        ev_io_modify(&watchers_[which], events);
        add(which);
    }

    std::vector<ev_io> watchers_;
    libev_loop loop_;
};

class libev_timers final : public timers {
  public:
    explicit libev_timers(std::size_t count) : timers_(count) {
        for (ev_timer& timer : timers_) {
            ev_timer_init(&timer, fired, 0., 0.);
            timer.data = this;
        }
    }
    void look_at_the_clock() override { ev_now_update(loop_.get()); }
    void arm(const steps& all) override {
        for (const step& each : all) {
            ev_timer& timer = timers_[each.timer];
            ev_timer_set(&timer, seconds(each), 0.);
            ev_timer_start(loop_.get(), &timer);
        }
    }
    void arm_anew(const steps& all) override {
        for (const step& each : all) {
            ev_timer& timer = timers_[each.timer];
            timer.repeat = seconds(each);
            ev_timer_again(loop_.get(), &timer);
        }
    }
    void push_out(const steps& all) override { arm_anew(all); }
    void cancel(const steps& all) override {
        for (const step& each : all) ev_timer_stop(loop_.get(), &timers_[each.timer]);
    }
    std::size_t fire() override {
        loop_.run(EVRUN_NOWAIT);
        return std::exchange(fired_, 0);
    }

  private:
    static double seconds(const step& of) { return static_cast<double>(of.after.count()) * 1e-9; }
    static void fired(struct ev_loop* loop, ev_timer* timer, int) {
        if (timer->repeat > 0.)
            ev_timer_stop(loop, timer);  // what ev_timer_again has armed would repeat
        ++static_cast<libev_timers*>(timer->data)->fired_;
    }

    std::vector<ev_timer> timers_;
    libev_loop loop_;
    std::size_t fired_ = 0;
};

class libev_poster final : public poster {
  public:
    explicit libev_poster(inbox& to) : to_{to} {
        ev_async_init(&bell_, rung);
        bell_.data = this;
        ev_async_start(loop_.get(), &bell_);
    }
    void post(std::size_t first, std::size_t count) override {
        for (std::size_t i = 0; i < count; ++i)
            if (numbers_.push(first + i)) ev_async_send(loop_.get(), &bell_);
    }
    void run() override { loop_.run(0); }

  private:
    static void rung(struct ev_loop* loop, ev_async* bell, int) {
        auto& self = *static_cast<libev_poster*>(bell->data);
        if (self.numbers_.empty_into(self.to_)) ev_break(loop, EVBREAK_ALL);
    }

    inbox& to_;
    number_queue numbers_;
    ev_async bell_;
    libev_loop loop_;
};

}  // namespace

const contestant the_contestant{
    .make_ring = make<ring, libev_ring>,
    .make_interests = make<interests, libev_interests>,
    .make_timers = make<timers, libev_timers>,
    .make_poster = make<poster, libev_poster>,
};

}  // namespace bench
