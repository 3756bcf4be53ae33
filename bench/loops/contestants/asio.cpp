// Asio: async_read_some of one byte, its everyday way, which reads once too often for every token; with async_wait it would
// be an epoll_ctl too many instead, about the same. For timers expires_at and async_wait, also to arm anew, and cancel,
// counted from a time that was read once: there is no cached one. A cancelled wait completes with an error, which the loop
// has to bring to its handler: that is part of the cost. No locks but for asio::post, by whoever finds the queue of
// numbers empty; io_context's own executors, not any_io_executor. A descriptor is registered once, for good: there is nothing for ctl.
#include <utility>

#include <asio/basic_waitable_timer.hpp>
#include <asio/buffer.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/posix/basic_stream_descriptor.hpp>
#include <asio/post.hpp>

#include "../contestant.hpp"

namespace bench {
namespace {

using executor = asio::io_context::executor_type;

class asio_ring final : public ring {
  public:
    explicit asio_ring(std::span<const place> places) {
        watched_.reserve(places.size());
        for (const place& each : places) read(watched_.emplace_back(loop_, each));
    }
    ~asio_ring() override {
        for (watched& one : watched_) one.in.release();  // they are the harness's, which closes them
    }
    void play(game& game) override {
        game_ = &game;
        loop_.restart();
        loop_.run();
    }

  private:
    using descriptor = asio::posix::basic_stream_descriptor<executor>;
    struct watched {
        watched(asio::io_context& loop, const place& of) : in{loop, of.in}, at{of} {}
        descriptor in;
        place at;
        char token;
    };

    void read(watched& one) {
        one.in.async_read_some(asio::buffer(&one.token, 1),
                               [this, &one](asio::error_code error, std::size_t) {
                                   if (error) std::abort();
                                   if (game_->taken()) game::put(one.at);
                                   read(one);
                                   if (game_->over()) loop_.stop();
                               });
    }

    game* game_ = nullptr;
    asio::io_context loop_{ASIO_CONCURRENCY_HINT_UNSAFE};
    std::vector<watched> watched_;
};

class asio_timers final : public timers {
  public:
    explicit asio_timers(std::size_t count) {
        timers_.reserve(count);
        for (std::size_t i = 0; i < count; ++i) timers_.emplace_back(loop_);
    }
    void look_at_the_clock() override { now_ = clock::now(); }
    void arm(const steps& all) override {
        for (const step& each : all) {
            armable& timer = timers_[each.timer];
            timer.expires_at(now_ + each.after);
            timer.async_wait([this](asio::error_code error) { fired_ += !error; });
        }
    }
    void arm_anew(const steps& all) override {
        arm(all);
        bring_what_is_due();
    }
    void push_out(const steps& all) override { arm_anew(all); }
    void cancel(const steps& all) override {
        for (const step& each : all) timers_[each.timer].cancel();
        bring_what_is_due();
    }
    std::size_t fire() override {
        bring_what_is_due();
        return std::exchange(fired_, 0);
    }

  private:
    using clock = std::chrono::steady_clock;
    using armable = asio::basic_waitable_timer<clock, asio::wait_traits<clock>, executor>;

    void bring_what_is_due() {
        loop_.restart();
        loop_.poll();
    }

    asio::io_context loop_{ASIO_CONCURRENCY_HINT_UNSAFE};
    std::vector<armable> timers_;
    clock::time_point now_;
    std::size_t fired_ = 0;
};

class asio_poster final : public poster {
  public:
    explicit asio_poster(inbox& to) : to_{to} {}
    void post(std::size_t first, std::size_t count) override {
        for (std::size_t i = 0; i < count; ++i)
            if (numbers_.push(first + i))
                asio::post(loop_, [this] {
                    if (numbers_.empty_into(to_)) loop_.stop();
                });
    }
    void run() override {
        loop_.restart();
        loop_.run();
    }

  private:
    inbox& to_;
    number_queue numbers_;
    asio::io_context loop_{1};  // one thread runs it, and others post: it keeps its locks
    asio::executor_work_guard<executor> stays_{loop_.get_executor()};
};

}  // namespace

const contestant the_contestant{
    .make_ring = make<ring, asio_ring>,
    .make_timers = make<timers, asio_timers>,
    .make_poster = make<poster, asio_poster>,
};

}  // namespace bench
