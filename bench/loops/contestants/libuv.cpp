// libuv: a uv_poll_t for every descriptor, made once and then only started and stopped; uv_timer_start, also to arm
// anew, in milliseconds from the loop's cached time; and uv_async_send to be woken. Any number of these are one
// callback, and they carry nothing: the numbers wait in a queue of the user's, and whoever finds it empty sends.
// A started uv_poll_t is started again for other events, which libuv does by a DEL at once and an ADD in uv_run.
#include <utility>

#include <uv.h>

#include "../contestant.hpp"

namespace bench {
namespace {

/// Declared after the handles, so that they are closed before their memory goes. Descriptors stay open.
class libuv_loop {
  public:
    libuv_loop() {
        if (uv_loop_init(&loop_) < 0) std::abort();
    }
    libuv_loop(const libuv_loop&) = delete;
    ~libuv_loop() {
        uv_walk(&loop_, [](uv_handle_t* handle, void*) { uv_close(handle, nullptr); }, nullptr);
        run(UV_RUN_DEFAULT);  // closing takes a turn of the loop
        uv_loop_close(&loop_);
    }

    uv_loop_t* get() noexcept { return &loop_; }
    void run(uv_run_mode mode) { uv_run(&loop_, mode); }

  private:
    uv_loop_t loop_;
};

class libuv_ring final : public ring {
  public:
    explicit libuv_ring(std::span<const place> places)
        : places_{places.begin(), places.end()}, polls_(places.size()) {
        for (std::size_t i = 0; i < polls_.size(); ++i) {
            if (uv_poll_init(loop_.get(), &polls_[i], places_[i].in) < 0) std::abort();
            polls_[i].data = &places_[i];
            uv_poll_start(&polls_[i], UV_READABLE, ready);
        }
        loop_.run(UV_RUN_NOWAIT);  // the kernel is told in uv_run: before the game, not in it
    }
    void play(game& game) override {
        loop_.get()->data = &game;
        loop_.run(UV_RUN_DEFAULT);
    }

  private:
    static void ready(uv_poll_t* poll, int, int) {
        auto& now = *static_cast<game*>(poll->loop->data);
        now.pass(*static_cast<const place*>(poll->data));
        if (now.over()) uv_stop(poll->loop);
    }

    std::vector<place> places_;
    std::vector<uv_poll_t> polls_;
    libuv_loop loop_;
};

class libuv_interests final : public interests {
  public:
    explicit libuv_interests(std::span<const int> descriptors) : polls_(descriptors.size()) {
        for (std::size_t i = 0; i < polls_.size(); ++i)
            if (uv_poll_init(loop_.get(), &polls_[i], descriptors[i]) < 0) std::abort();
    }
    void add(std::size_t which) override { start(which, UV_READABLE); }
    void widen(std::size_t which) override { start(which, UV_READABLE | UV_WRITABLE); }
    void narrow(std::size_t which) override { start(which, UV_READABLE); }
    void remove(std::size_t which) override { uv_poll_stop(&polls_[which]); }
    void look() override { loop_.run(UV_RUN_NOWAIT); }

  private:
    void start(std::size_t which, int events) {
        uv_poll_start(&polls_[which], events, [](uv_poll_t*, int, int) {});
    }

    std::vector<uv_poll_t> polls_;
    libuv_loop loop_;
};

class libuv_timers final : public timers {
  public:
    explicit libuv_timers(std::size_t count) : timers_(count) {
        for (uv_timer_t& timer : timers_) {
            uv_timer_init(loop_.get(), &timer);
            timer.data = this;
        }
    }
    void look_at_the_clock() override { uv_update_time(loop_.get()); }
    void arm(const steps& all) override {
        for (const step& each : all) uv_timer_start(&timers_[each.timer], fired, milliseconds(each), 0);
    }
    void arm_anew(const steps& all) override { arm(all); }
    void push_out(const steps& all) override { arm(all); }
    void cancel(const steps& all) override {
        for (const step& each : all) uv_timer_stop(&timers_[each.timer]);
    }
    std::size_t fire() override {
        loop_.run(UV_RUN_NOWAIT);
        return std::exchange(fired_, 0);
    }

  private:
    static std::uint64_t milliseconds(const step& of) {
        return static_cast<std::uint64_t>(of.after.count()) / 1'000'000;
    }
    static void fired(uv_timer_t* timer) { ++static_cast<libuv_timers*>(timer->data)->fired_; }

    std::vector<uv_timer_t> timers_;
    libuv_loop loop_;
    std::size_t fired_ = 0;
};

class libuv_poster final : public poster {
  public:
    explicit libuv_poster(inbox& to) : to_{to} {
        if (uv_async_init(loop_.get(), &bell_, rung) < 0) std::abort();
        bell_.data = this;
    }
    void post(std::size_t first, std::size_t count) override {
        for (std::size_t i = 0; i < count; ++i)
            if (numbers_.push(first + i)) uv_async_send(&bell_);
    }
    void run() override { loop_.run(UV_RUN_DEFAULT); }

  private:
    static void rung(uv_async_t* bell) {
        auto& self = *static_cast<libuv_poster*>(bell->data);
        if (self.numbers_.empty_into(self.to_)) uv_stop(bell->loop);
    }

    inbox& to_;
    number_queue numbers_;
    uv_async_t bell_;
    libuv_loop loop_;
};

}  // namespace

const contestant the_contestant{
    .make_ring = make<ring, libuv_ring>,
    .make_interests = make<interests, libuv_interests>,
    .make_timers = make<timers, libuv_timers>,
    .make_poster = make<poster, libuv_poster>,
};

}  // namespace bench
