// Random watches, timers, posts, closes, throws and endings of loops, held against a model at every step.
//
//     loop_steps --backend epoll --steps 10000000 [--seed N]
//
// Prints the seed; the same seed begins with the same steps, and goes on with them as far as the clock, which
// decides what timers are due, has no say. Ends with 1 at the first callback that was missed, came too early,
// twice, out of turn, or after its end; and at the first capture that was lost or destroyed twice.
#include "loop_model.hpp"
#include "steps.hpp"

namespace selectors::testing {
namespace {

/// What the random numbers choose to do.
class run : loop_model {
  public:
    run(const std::string& backend, std::uint64_t seed) : loop_model{backend, seed} {}
    ~run() { abandon(); }

    void step() {
        if (below(5) == 0)
            turn();
        else
            act();
    }
    using loop_model::summary;

  private:
    void act() override {
        begin_step();
        const std::size_t dice = below(1000);
        if (dice < 80) return open_pair();
        if (dice < 120) return close_one(below(2) == 0);
        if (dice < 270) return write_one();
        if (dice < 350) return read_one();
        if (dice < 365) return hang_up_one();
        if (dice < 470) return watch_one(below(watch_slots));
        if (dice < 510) return end_watch(below(watch_slots));
        if (dice < 570) return modify_watch(below(watch_slots));
        if (dice < 600) return move_watch(below(watch_slots), below(watch_slots));
        if (dice < 605) return watch_closed_number(below(watch_slots));
        if (dice < 670) return make_timer(below(timer_slots));
        if (dice < 760) return arm_timer(below(timer_slots));
        if (dice < 780) return cancel_timer(below(timer_slots));
        if (dice < 800) return end_timer(below(timer_slots));
        if (dice < 830) return move_timer(below(timer_slots), below(timer_slots));
        if (dice < 880) return hand_in(kind::post);
        if (dice < 930) return hand_in(kind::defer);
        if (dice < 945) return below(3) == 0 ? stop() : wake();
        if (dice < 960) return toggle_observer();
        if (dice < 962) return end_everything();
        if (dice < 965) return replace_loop();
        if (dice < 985) return run_nested();
        run_until_stopped();
    }

    void in_callback(kind what, std::size_t slot) override {
        if (what == kind::watch && below(8) == 0) with_own_watch(slot);
        if (what == kind::timer && below(4) == 0) with_own_timer(slot);
        for (auto more = below(3) == 0 ? below(5) : 0; more > 0; --more) act();
        if (below(50) == 0) throw thrown{};
    }

    void with_own_watch(std::size_t slot) {
        switch (below(5)) {
        case 0: return end_watch(slot);
        case 1: return watch_one(slot);
        case 2: return modify_watch(slot);
        case 3: return move_watch(below(watch_slots), slot);
        default: return move_watch(slot, below(watch_slots));
        }
    }
    void with_own_timer(std::size_t slot) {
        switch (below(6)) {
        case 0: return end_timer(slot);
        case 1: return make_timer(slot);
        case 2: return cancel_timer(slot);
        case 3: return move_timer(below(timer_slots), slot);
        case 4: return arm_timer(slot);
        default: return move_timer(slot, below(timer_slots));
        }
    }
};

}  // namespace
}  // namespace selectors::testing

int main(int argc, char** argv) {
    return selectors::testing::steps_main<selectors::testing::run>("loop_steps", argc, argv);
}
