// The loop, as a user has it: a watch with a callback for every place, and timers. Numbers wait in a queue of the user's,
// and whoever finds it empty posts: of one kind of thing, that is the cheapest way to hand over many.
#include <selectors/async.hpp>

#include "../contestant.hpp"

namespace bench {
namespace {

namespace sel = selectors;
using namespace std::chrono_literals;

class loop_ring final : public ring {
  public:
    explicit loop_ring(std::span<const place> places) {
        watches_.reserve(places.size());
        for (const place& each : places)
            watches_.push_back(loop_.watch(each.in, sel::event::read, [this, each](sel::event) {
                game_->pass(each);
                if (game_->over()) loop_.stop();
            }));
    }
    void play(game& game) override {
        game_ = &game;
        loop_.run();
    }

  private:
    sel::loop loop_;
    std::vector<sel::watch> watches_;
    game* game_ = nullptr;
};

class loop_interests final : public interests {
  public:
    explicit loop_interests(std::span<const int> descriptors)
        : descriptors_{descriptors.begin(), descriptors.end()}, watches_(descriptors.size()) {}
    void add(std::size_t which) override {
        watches_[which] = loop_.watch(descriptors_[which], sel::event::read, [](sel::event) {});
    }
    void widen(std::size_t which) override {
        watches_[which].modify(sel::event::read | sel::event::write);
    }
    void narrow(std::size_t which) override { watches_[which].modify(sel::event::read); }
    void remove(std::size_t which) override { watches_[which] = {}; }
    void look() override { loop_.run_once(0s); }

  private:
    std::vector<int> descriptors_;
    sel::loop loop_;
    std::vector<sel::watch> watches_;
};

class loop_timers final : public timers {
  public:
    explicit loop_timers(std::size_t count) {
        timers_.reserve(count);
        for (std::size_t i = 0; i < count; ++i) timers_.emplace_back(loop_, [this] { ++fired_; });
    }
    void look_at_the_clock() override { loop_.run_once(0s); }
    void arm(const steps& all) override {
        const auto now = loop_.now();
        for (const step& each : all) timers_[each.timer].at(now + each.after);
    }
    void arm_anew(const steps& all) override { arm(all); }
    void push_out(const steps& all) override { arm(all); }
    void cancel(const steps& all) override {
        for (const step& each : all) timers_[each.timer].cancel();
    }
    std::size_t fire() override {
        fired_ = 0;
        loop_.run_once(0s);
        return fired_;
    }

  private:
    sel::loop loop_;
    std::vector<sel::timer> timers_;
    std::size_t fired_ = 0;
};

class loop_poster final : public poster {
  public:
    explicit loop_poster(inbox& to) : to_{to} {}
    void post(std::size_t first, std::size_t count) override {
        for (std::size_t i = 0; i < count; ++i)
            if (numbers_.push(first + i))
                loop_.post([this] {
                    if (numbers_.empty_into(to_)) loop_.stop();
                });
    }
    void run() override { loop_.run(); }

  private:
    inbox& to_;
    number_queue numbers_;
    sel::loop loop_;
};

}  // namespace

const contestant the_contestant{
    .make_ring = make<ring, loop_ring>,
    .make_interests = make<interests, loop_interests>,
    .make_timers = make<timers, loop_timers>,
    .make_poster = make<poster, loop_poster>,
};

}  // namespace bench
