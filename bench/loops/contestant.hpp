// contestant.hpp - what the house asks of a library inside one process: to wait, to dispatch, to change its mind, to
// keep timers, and to be woken from another thread.
//
// A contestant is one file, contestants/<name>.cpp, which defines `the_contestant` and becomes one program. The sockets,
// what is done with a ready one, the numbers and the clock are the harness's (program.cpp); making a contestant is never
// timed. Each is driven as its manual says a program in a hurry should. What it has nothing for it leaves out.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include <unistd.h>

namespace bench {

// --- ring: tokens go round a ring of socket pairs ----------------------------------------------------------

/// One place in the ring, of non-blocking sockets: where tokens come in, one byte each, and where they go.
struct place {
    int in;
    int out;
};

/// The tokens, and what everybody does with them.
class game {
  public:
    game(std::size_t tokens, std::size_t writes) noexcept
        : reads_left_{writes + tokens}, writes_left_{writes} {}

    bool over() const noexcept { return reads_left_ == 0; }
    /// The place is readable: takes one token, and passes it on.
    void pass(const place& at) noexcept {
        char token;
        if (::read(at.in, &token, 1) == 1 && taken()) put(at);
    }
    /// For who has read a token itself: true if it is to be written on.
    bool taken() noexcept {
        --reads_left_;
        if (writes_left_ == 0) return false;
        --writes_left_;
        return true;
    }
    static void put(const place& at) noexcept {
        if (::write(at.out, "t", 1) != 1) std::abort();  // a socket holds more than all the tokens
    }

  private:
    std::size_t reads_left_;
    std::size_t writes_left_;
};

class ring {
  public:
    virtual ~ring() = default;
    /// Goes round until the game is over; watches every place from before the first call to the last.
    virtual void play(game&) = 0;
};

// --- ctl: what it costs to change one's mind ---------------------------------------------------------------

/// Watches over sockets on which nothing happens, not readable and not writable; they are named by their place among
/// the descriptors with which this was made.
class interests {
  public:
    virtual ~interests() = default;
    virtual void add(std::size_t which) = 0;     ///< for reading
    virtual void widen(std::size_t which) = 0;   ///< for reading and writing
    virtual void narrow(std::size_t which) = 0;  ///< for reading again
    virtual void remove(std::size_t which) = 0;
    /// One look at what is ready, without waiting: now, at the latest, the kernel knows.
    virtual void look() = 0;
};

// --- timers ------------------------------------------------------------------------------------------------

/// Which timer is next, and how long it shall take.
struct step {
    std::uint32_t timer;
    std::chrono::nanoseconds after;
};
using steps = std::vector<step>;

/// N timers, made beforehand. Whoever has a cached clock counts from that.
class timers {
  public:
    virtual ~timers() = default;
    /// Brings the cached clock up to date.
    virtual void look_at_the_clock() = 0;
    virtual void arm(const steps&) = 0;
    /// What is armed already, for another time.
    virtual void arm_anew(const steps&) = 0;
    /// The same for who knows beforehand that it is a later time than before.
    virtual void push_out(const steps&) = 0;
    virtual void cancel(const steps&) = 0;
    /// Lets those fire whose time has come; returns how many that were.
    virtual std::size_t fire() = 0;
};

// --- post: numbers from other threads, each exactly once ---------------------------------------------------

/// Where the numbers arrive.
class inbox {
  public:
    using clock = std::chrono::steady_clock;

    void expect_numbers_below(std::size_t count, bool timed) {
        times_.assign(count, 0);
        arrival_.assign(timed ? count : 0, {});
        taken_.store(0, std::memory_order_relaxed);
    }
    /// The loop's thread, of each number: true if it was the last, and the loop is to end.
    bool take(std::size_t number) noexcept {
        if (!arrival_.empty()) arrival_[number] = clock::now();
        ++times_[number];
        const std::size_t taken = taken_.load(std::memory_order_relaxed) + 1;
        taken_.store(taken, std::memory_order_release);
        return taken == times_.size();
    }
    /// Any thread: how many have arrived.
    std::size_t taken() const noexcept { return taken_.load(std::memory_order_acquire); }
    /// These two once the loop has ended.
    bool each_came_once() const {
        return std::all_of(times_.begin(), times_.end(), [](std::uint8_t times) { return times == 1; });
    }
    clock::time_point arrival(std::size_t number) const { return arrival_[number]; }

  private:
    std::vector<std::uint8_t> times_;
    std::vector<clock::time_point> arrival_;  ///< only if it is timed
    std::atomic<std::size_t> taken_ = 0;
};

/// What users of a loop that can be woken, and carries nothing, bring themselves.
class number_queue {
  public:
    /// Any thread. True if the loop is to be woken: nobody else has asked since it looked.
    bool push(std::size_t number) {
        const std::lock_guard lock{mutex_};
        numbers_.push_back(number);
        return numbers_.size() == 1;
    }
    /// The loop's thread: takes all of them. True if the last that is expected was among them.
    bool empty_into(inbox& to) {
        taken_.clear();
        {
            const std::lock_guard lock{mutex_};
            taken_.swap(numbers_);
        }
        bool last = false;
        for (const std::size_t number : taken_) last = to.take(number);
        return last;
    }

  private:
    std::mutex mutex_;
    std::vector<std::size_t> numbers_;
    std::vector<std::size_t> taken_;  ///< keeps its room
};

class poster {
  public:
    virtual ~poster() = default;
    /// Any thread: posts that many numbers, one by one.
    virtual void post(std::size_t first, std::size_t count) = 0;
    /// Goes round until the last number that is expected has arrived.
    virtual void run() = 0;
};

// --- the contestant ----------------------------------------------------------------------------------------

/// How to make each; null for what it has nothing for.
struct contestant {
    std::unique_ptr<ring> (*make_ring)(std::span<const place>) = nullptr;
    std::unique_ptr<interests> (*make_interests)(std::span<const int> descriptors) = nullptr;
    std::unique_ptr<timers> (*make_timers)(std::size_t count) = nullptr;
    std::unique_ptr<poster> (*make_poster)(inbox&) = nullptr;
};

/// As one of those: make<ring, epoll_ring>.
template <class Part, class Made, class From>
std::unique_ptr<Part> make(From from) {
    return std::make_unique<Made>(static_cast<From>(from));
}

extern const contestant the_contestant;

}  // namespace bench
