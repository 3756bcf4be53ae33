// system/ring.hpp - an io_uring: two queues that this process shares with the kernel.
//
// Only the queues. What is asked for, and what the answers mean, is the business of whoever writes the
// requests. Linux 5.19 and newer; from 6.1 on the ring belongs to the thread that made it (SINGLE_ISSUER)
// and the kernel works for it only while that thread is inside `enter` (DEFER_TASKRUN). Never SQPOLL.
//
// A request on a file keeps the file open, even after its descriptor was closed: a peer would hear of the
// close only when the request has ended. Requests that end others are therefore handed over before this
// thread closes anything: see `hand_over_before_close`.
//
// Sources: io_uring_setup(2), io_uring_enter(2), linux/io_uring.h. Without liburing: of that we would need
// no more than this.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>

#include <linux/io_uring.h>

#include "system/system.hpp"

namespace selectors::sys {

class ring {
  public:
    /// `entries`: how many requests can be written before they must be handed over; rounded up to a power
    /// of two. There is room for eight times as many answers, and the kernel keeps what does not fit.
    /// Throws std::system_error: function_not_supported, operation_not_permitted (a sandbox or
    /// kernel.io_uring_disabled), too_many_files_open.
    explicit ring(unsigned entries);
    ring(ring&& other) noexcept = default;
    ring& operator=(ring&& other) noexcept = default;

    native_handle descriptor() const noexcept { return descriptor_.get(); }

    /// Whether another request can be written before the next `enter`.
    bool has_room() const noexcept { return unsubmitted() < requests_.size; }
    /// Whether some were written since.
    bool has_requests() const noexcept { return unsubmitted() > 0; }
    /// Lets `fill` write a request into a cleared entry; false if there is no room.
    template <class Filler>
    bool write(Filler fill) noexcept {
        if (!has_room()) return false;
        io_uring_sqe& entry = requests_.entries[requests_.written & (requests_.size - 1)];
        entry = {};
        fill(entry);
        std::atomic_ref{*requests_.tail}.store(++requests_.written, std::memory_order_release);
        return true;
    }

    /// Hands over what was written. Then, if `wanted` is not zero and all of it was taken, waits until so
    /// many answers are there, for at most `timeout`; for ever if it is negative. The error is the system
    /// call's: none, ETIME when the time is over, EINTR, EEXIST on another thread than the ring's.
    [[nodiscard]] std::error_code enter(unsigned wanted, std::chrono::nanoseconds timeout) noexcept;

    /// The same without waiting; whatever is refused stays written, and the next `enter` says why.
    void submit() noexcept { static_cast<void>(enter(0, std::chrono::nanoseconds::zero())); }

    /// Has the kernel do what it has to do for the ring by now.
    void work_off() noexcept;

    /// What was written is handed over at the latest when this thread closes a descriptor.
    void hand_over_before_close() noexcept;

    /// How many answers are there.
    std::size_t answers() const noexcept {
        return std::atomic_ref{*answers_.tail}.load(std::memory_order_acquire) - *answers_.head;
    }
    /// Takes those out, in their order.
    template <class Taker>
    void take(std::size_t count, Taker taker) noexcept {
        unsigned head = *answers_.head;
        for (; count > 0; --count, ++head) taker(answers_.entries[head & answers_.mask]);
        std::atomic_ref{*answers_.head}.store(head, std::memory_order_release);
    }

    /// Whether the kernel keeps answers for which there was no room.
    bool overflowed() const noexcept { return has_flag(IORING_SQ_CQ_OVERFLOW); }
    /// Whether the kernel once had no memory to keep an answer that did not fit.
    bool has_lost_answers() const noexcept {
        return std::atomic_ref{*answers_.lost}.load(std::memory_order_relaxed) != 0;
    }

  private:
    /// Memory that is shared with the kernel.
    class mapping {
      public:
        mapping() noexcept = default;
        mapping(native_handle of, std::size_t size, long long offset);
        mapping(mapping&& other) noexcept
            : start_{std::exchange(other.start_, nullptr)}, size_{other.size_} {}
        mapping& operator=(mapping&& other) noexcept {
            std::swap(start_, other.start_);
            std::swap(size_, other.size_);
            return *this;
        }
        ~mapping();
        template <class T>
        T* at(std::size_t offset) const noexcept {
            return reinterpret_cast<T*>(static_cast<std::byte*>(start_) + offset);
        }

      private:
        void* start_ = nullptr;
        std::size_t size_ = 0;
    };

    bool has_flag(unsigned flag) const noexcept {
        return (std::atomic_ref{*requests_.flags}.load(std::memory_order_relaxed) & flag) != 0;
    }
    unsigned unsubmitted() const noexcept {
        return requests_.written - std::atomic_ref{*requests_.head}.load(std::memory_order_acquire);
    }

    owned descriptor_;
    bool awaits_close_ = false;
    mapping queues_;
    mapping entries_;
    struct {
        unsigned* head = nullptr;  ///< how many the kernel has taken
        unsigned* tail = nullptr;  ///< how many it may take
        unsigned* flags = nullptr;
        io_uring_sqe* entries = nullptr;
        unsigned size = 0;
        unsigned written = 0;  ///< *tail
    } requests_;
    struct {
        unsigned* head = nullptr;  ///< how many we have taken
        unsigned* tail = nullptr;  ///< how many the kernel has written
        unsigned* lost = nullptr;
        io_uring_cqe* entries = nullptr;
        unsigned mask = 0;
    } answers_;
};

}  // namespace selectors::sys
