// libevent: persistent events, one for reading and one for writing, and its change list, which event2/event.h calls
// safe where no descriptor is a dup() of another, as here: the kernel is told in the loop of what is left to tell.
// Timers are armed and deleted in a callback, as in a program: only there is the time cached. To be woken, event_active
// from other threads, with evthread_use_pthreads; it carries nothing: the numbers wait in a queue of the user's, and
// whoever finds it empty activates. Where there is one thread there are no locks.
#include <utility>

#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/thread.h>

#include "../contestant.hpp"

namespace bench {
namespace {

enum class threads { one, many };

/// Declared after the events: what is still added is deleted with the base.
class libevent_base {
  public:
    explicit libevent_base(threads of = threads::one) {
        // Locks have to be there before the base is made.
        if (of == threads::many && evthread_use_pthreads() != 0) std::abort();
        event_config* const configuration = event_config_new();
        event_config_set_flag(configuration, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
        if (of == threads::one) event_config_set_flag(configuration, EVENT_BASE_FLAG_NOLOCK);
        base_ = event_base_new_with_config(configuration);
        event_config_free(configuration);
        if (base_ == nullptr) std::abort();
    }
    libevent_base(const libevent_base&) = delete;
    ~libevent_base() { event_base_free(base_); }

    event_base* get() const noexcept { return base_; }
    /// Until event_base_loopbreak, also with no event left.
    void run() const { event_base_loop(base_, EVLOOP_NO_EXIT_ON_EMPTY); }
    /// One turn. NONBLOCK alone goes on as long as something is ready, and a loop that is left without events would
    /// not tell the kernel so.
    void look() const {
        event_base_loop(base_, EVLOOP_ONCE | EVLOOP_NONBLOCK | EVLOOP_NO_EXIT_ON_EMPTY);
    }

  private:
    event_base* base_;
};

class libevent_ring final : public ring {
  public:
    explicit libevent_ring(std::span<const place> places) : watched_(places.size()) {
        for (std::size_t i = 0; i < watched_.size(); ++i) {
            watched& one = watched_[i];
            one.at = places[i];
            one.by = this;
            event_assign(&one.reading, base_.get(), one.at.in, EV_READ | EV_PERSIST, ready, &one);
            event_add(&one.reading, nullptr);
        }
        base_.look();  // the kernel is told in the loop: before the game, not in it
    }
    void play(game& game) override {
        game_ = &game;
        base_.run();
    }

  private:
    struct watched {
        event reading;
        place at;
        libevent_ring* by;
    };
    static void ready(evutil_socket_t, short, void* of) {
        const watched& one = *static_cast<const watched*>(of);
        one.by->game_->pass(one.at);
        if (one.by->game_->over()) event_base_loopbreak(one.by->base_.get());
    }

    game* game_ = nullptr;
    std::vector<watched> watched_;
    libevent_base base_;
};

class libevent_interests final : public interests {
  public:
    explicit libevent_interests(std::span<const int> descriptors) : watched_(descriptors.size()) {
        const auto nothing = [](evutil_socket_t, short, void*) {};
        for (std::size_t i = 0; i < watched_.size(); ++i) {
            auto& [reading, writing] = watched_[i];
            event_assign(&reading, base_.get(), descriptors[i], EV_READ | EV_PERSIST, nothing, nullptr);
            event_assign(&writing, base_.get(), descriptors[i], EV_WRITE | EV_PERSIST, nothing,
                         nullptr);
        }
    }
    void add(std::size_t which) override { event_add(&watched_[which].reading, nullptr); }
    void widen(std::size_t which) override { event_add(&watched_[which].writing, nullptr); }
    void narrow(std::size_t which) override { event_del(&watched_[which].writing); }
    void remove(std::size_t which) override { event_del(&watched_[which].reading); }
    void look() override { base_.look(); }

  private:
    struct watched {
        event reading;
        event writing;
    };

    std::vector<watched> watched_;
    libevent_base base_;
};

class libevent_timers final : public timers {
  public:
    explicit libevent_timers(std::size_t count) : timers_(count) {
        for (event& timer : timers_) evtimer_assign(&timer, base_.get(), fired, this);
    }
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
        base_.look();
        return std::exchange(fired_, 0);
    }

  private:
    static timeval seconds(const step& of) {
        const auto nanoseconds = of.after.count();
        return {nanoseconds / 1'000'000'000, nanoseconds % 1'000'000'000 / 1000};
    }
    static void fired(evutil_socket_t, short, void* of) { ++static_cast<libevent_timers*>(of)->fired_; }

    template <class Work>
    void in_a_callback(Work work) {
        const auto call = [](evutil_socket_t, short, void* of) { (*static_cast<Work*>(of))(); };
        event now;
        event_assign(&now, base_.get(), -1, 0, call, &work);
        event_active(&now, EV_TIMEOUT, 0);
        base_.look();
    }

    std::vector<event> timers_;
    libevent_base base_;
    std::size_t fired_ = 0;
};

class libevent_poster final : public poster {
  public:
    explicit libevent_poster(inbox& to) : to_{to} {
        event_assign(&bell_, base_.get(), -1, 0, rung, this);
    }
    void post(std::size_t first, std::size_t count) override {
        for (std::size_t i = 0; i < count; ++i)
            if (numbers_.push(first + i)) event_active(&bell_, EV_READ, 0);
    }
    void run() override { base_.run(); }

  private:
    static void rung(evutil_socket_t, short, void* of) {
        auto& self = *static_cast<libevent_poster*>(of);
        if (self.numbers_.empty_into(self.to_)) event_base_loopbreak(self.base_.get());
    }

    inbox& to_;
    number_queue numbers_;
    event bell_;
    libevent_base base_{threads::many};
};

}  // namespace

const contestant the_contestant{
    .make_ring = make<ring, libevent_ring>,
    .make_interests = make<interests, libevent_interests>,
    .make_timers = make<timers, libevent_timers>,
    .make_poster = make<poster, libevent_poster>,
};

}  // namespace bench
