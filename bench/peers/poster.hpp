// peers/poster.hpp - what bench/post asks of every contestant.
//
// A contestant has a loop and carries numbers to its thread from others, each exactly once. Each is driven
// as its manual says a program in a hurry should.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace bench {

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
    poster() = default;
    poster(const poster&) = delete;
    poster& operator=(const poster&) = delete;
    virtual ~poster() = default;

    virtual const char* name() const = 0;
    /// Any thread: posts that many numbers, one by one.
    virtual void post(std::size_t first, std::size_t count) = 0;
    /// Goes round until the last number that is expected has arrived.
    virtual void run() = 0;
};

std::unique_ptr<poster> make_libuv_poster(inbox& to);
std::unique_ptr<poster> make_libev_poster(inbox& to);
std::unique_ptr<poster> make_asio_poster(inbox& to);

}  // namespace bench
