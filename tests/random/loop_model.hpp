// random/loop_model.hpp - a loop, and beside it what must be true of it: who lives, what is due, what is owed.
//
// Every handle is in a slot and has an identity of its own, which its callback names: so the model knows of
// each callback whether it may come now. Each callback captures a token, and the model counts those. One loop
// at a time is current; handles of those before it stay where they are, and must be silent.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include <selectors/async.hpp>

#include "world.hpp"

namespace selectors::testing {

using namespace std::chrono_literals;

class loop_model {
  public:
    enum class kind { watch, timer, post, defer };
    using clock = std::chrono::steady_clock;
    using identity = std::uint64_t;

    /// What callbacks throw.
    struct thrown {};

    static constexpr std::size_t watch_slots = 40;
    static constexpr std::size_t timer_slots = 24;

    loop_model(const std::string& backend, std::uint64_t seed);
    loop_model(const loop_model&) = delete;
    loop_model& operator=(const loop_model&) = delete;
    virtual ~loop_model();

    void summary(std::ostream& out) const;

  protected:
    /// Anything, at any time.
    virtual void act() = 0;
    /// The same from inside a callback; may throw `thrown`.
    virtual void in_callback(kind what, std::size_t slot) = 0;

    std::size_t below(std::size_t limit) { return random_() % limit; }
    /// Throws what was found wrong where nothing could be thrown.
    void begin_step();
    /// Nothing is acted any more.
    void abandon() { abandoned_ = true; }

    // --- the world -------------------------------------------------------------------------------
    void open_pair();
    void close_one(bool unwatched_first);
    void write_one();
    void read_one();
    void hang_up_one();

    // --- watches ---------------------------------------------------------------------------------
    void watch_one(std::size_t slot);
    void watch_closed_number(std::size_t slot);
    void modify_watch(std::size_t slot);
    void move_watch(std::size_t from, std::size_t to);
    void end_watch(std::size_t slot);

    // --- timers ----------------------------------------------------------------------------------
    void make_timer(std::size_t slot);
    void arm_timer(std::size_t slot);
    void cancel_timer(std::size_t slot);
    void move_timer(std::size_t from, std::size_t to);
    void end_timer(std::size_t slot);

    // --- the loop --------------------------------------------------------------------------------
    void hand_in(kind what);
    void stop();
    void wake();
    void toggle_observer();
    void end_everything();
    /// Ends the loop, also from inside its callbacks, and makes another.
    void replace_loop();
    void turn();
    /// Inside a callback: the loop that is running refuses, another one runs.
    void run_nested();
    void run_until_stopped();

  private:
    class token;
    class observer;
    struct watch_record {
        std::size_t slot;
        native_handle fd;
        identity file;
        event interest;
        std::uint64_t loop;
        std::uint64_t version = 0;
        std::uint64_t told_in_turn = 0;
        int overdue = 0;           ///< turns in which it was due and not told
        int told_since_close = 0;  ///< while nothing had its number
        bool may_live_on = false;  ///< its file was closed, and has a duplicate
        bool running = false;
    };
    struct timer_record {
        std::size_t slot;
        std::uint64_t loop;
        bool armed = false;
        bool running = false;
        clock::time_point deadline{};
        std::uint64_t order = 0;
        std::chrono::nanoseconds period{};
    };
    /// One run of the loop.
    struct frame {
        std::uint64_t loop;
        std::size_t called = 0;
    };
    struct due_watch {
        identity which;
        std::uint64_t version, file_version;
    };

    void check(bool held, const std::string& what);
    void check_callback(std::uint64_t loop);
    template <class Call>
    callback<Call> make_callback(kind what, identity id);
    void told(identity id, event events);
    void fired(identity id);
    void ran(kind what, identity id);
    void token_goes(kind what, identity id) noexcept;

    event due(const watch_record& of) const;
    watched* file_of(const watch_record& of);
    template <class Action>
    void with_any_end(Action action);
    event some_interest();
    void asked_anew(native_handle fd);
    void forget_watch(std::size_t slot);
    void forget_timer(std::size_t slot);
    void arm(identity id, std::size_t how);
    void disarmed(identity id, timer_record& record);
    void is_armed(identity id, timer_record& record);
    template <class Run>
    bool run_framed(frame& now, Run run);
    void audit(const std::vector<due_watch>& were_due, identity newest);

    std::string backend_;
    std::mt19937_64 random_;
    world world_;
    std::uint64_t steps_ = 0, turns_ = 0, loops_ = 1, calls_ = 0, exceptions_ = 0, silenced_ = 0,
                  thrown_away_ = 0, stale_ = 0;
    identity newest_ = 0;
    std::string wrong_;
    bool abandoned_ = false;
    int depth_ = 0;

    std::map<identity, std::uint64_t>
        taken_at_;  ///< of files: the step in which the last byte was read
    std::map<identity, std::uint64_t> file_versions_;
    std::map<identity, watch_record> watches_;
    std::map<identity, timer_record> timers_;
    std::set<std::tuple<clock::time_point, std::uint64_t, identity>> armed_;
    std::deque<identity> posted_, deferred_;  ///< of the current loop
    std::set<identity> tokens_;
    std::uint64_t arming_ = 0;

    std::unique_ptr<loop> loop_;
    loop* dying_ = nullptr;  ///< is being destroyed: what goes with it may still hand in more
    std::unique_ptr<observer> observer_;
    frame* frame_ = nullptr;
    bool stopped_ = false;
    bool complete_ = true;     ///< the last turn told everything
    std::uint64_t since_ = 0;  ///< the step after which what is told was found at the latest

    std::array<identity, watch_slots> watch_ids_{};
    std::array<identity, timer_slots> timer_ids_{};
    std::array<watch, watch_slots> watch_handles_;
    std::array<timer, timer_slots> timer_handles_;
};

}  // namespace selectors::testing
