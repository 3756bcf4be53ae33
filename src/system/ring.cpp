#include "system/ring.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace selectors::sys {
namespace {

int enter_ring(native_handle descriptor, unsigned submit, unsigned wanted, unsigned flags,
               const void* argument, std::size_t size) noexcept {
    return static_cast<int>(
        ::syscall(SYS_io_uring_enter, descriptor, submit, wanted, flags, argument, size));
}

/// Lets the kernel do everything that it has to do for the ring, and does not wait. Linux 6.13 and newer do
/// twenty things a call and keep the rest, unless as many answers are waited for (IO_LOCAL_TW_DEFAULT_MAX in
/// io_uring/io_uring.c). So more are waited for than can come; but what is no signal mask is noticed before
/// the thread goes to sleep, and after the work: EINVAL. A timeout of zero would do, too, at the price of
/// a timer's interrupt, 20 us on a virtual machine.
void work_off(native_handle descriptor, unsigned requests) noexcept {
    constexpr unsigned more_than_can_come = 1U << 20;
    io_uring_getevents_arg argument{};
    argument.sigmask = reinterpret_cast<std::uintptr_t>(&argument);
    argument.sigmask_sz = 1;
    enter_ring(descriptor, requests, more_than_can_come, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG,
               &argument, sizeof argument);
}

/// With what the kernel has: 6.1 all of it, 5.19 the second.
owned set_up(unsigned entries, io_uring_params& made) {
    constexpr unsigned always =
        IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_TASKRUN_FLAG;
    constexpr unsigned ways[] = {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
                                 IORING_SETUP_COOP_TASKRUN};
    for (const unsigned way : ways) {
        made = {};
        made.flags = always | way;
        made.cq_entries = entries * 8;  // the kernel finds a poll the faster the more there are
        owned ring{static_cast<native_handle>(::syscall(SYS_io_uring_setup, entries, &made))};
        if (ring.get() >= 0) return ring;
        if (errno != EINVAL) break;
    }
    const std::error_code why = last_error();
    if (why == std::errc::invalid_argument)
        throw std::system_error(make_error_code(std::errc::function_not_supported),
                                "io_uring_setup (wanted: Linux 5.19 or newer)");
    if (why == std::errc::operation_not_permitted)
        throw std::system_error(why,
                                "io_uring_setup (forbidden by a sandbox or kernel.io_uring_disabled)");
    throw std::system_error(why, "io_uring_setup");
}

// --- before a descriptor is closed ---------------------------------------------------------------

/// A ring of this thread that waits for a close. Only its number is kept, so that nobody has to be told
/// when a ring goes or moves to another thread: the kernel refuses what is no ring, or not this thread's.
struct waiting_ring {
    native_handle descriptor;
    unsigned requests;  ///< if it were another number, the kernel would not go on to work for the ring
};
constinit thread_local struct {
    waiting_ring rings[8];
    std::size_t count;
    unsigned epoch;
} waiting{};

void hand_over_all() noexcept {
    before_close = nullptr;
    const std::size_t count = std::exchange(waiting.count, 0);
    if (waiting.epoch != process_epoch()) return;  // a child: they are the parent's
    for (std::size_t i = 0; i < count; ++i) {
        work_off(waiting.rings[i].descriptor, 0);  // a poll cannot be ended while it is about to fire
        work_off(waiting.rings[i].descriptor, waiting.rings[i].requests);
    }
}

void no_longer_waits(native_handle descriptor) noexcept {
    auto* const last = std::remove_if(
        waiting.rings, waiting.rings + waiting.count,
        [descriptor](const waiting_ring& each) { return each.descriptor == descriptor; });
    waiting.count = static_cast<std::size_t>(last - waiting.rings);
    if (waiting.count == 0) before_close = nullptr;
}

}  // namespace

ring::mapping::mapping(native_handle of, std::size_t size, long long offset) : size_{size} {
    void* got = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, of, offset);
    if (got == MAP_FAILED) throw std::system_error(last_error(), "mmap of an io_uring");
    start_ = got;
}

ring::mapping::~mapping() {
    if (start_) ::munmap(start_, size_);
}

ring::ring(unsigned entries) : descriptor_{invalid_handle} {
    io_uring_params made;
    descriptor_ = set_up(entries, made);
    const std::size_t requests_end = made.sq_off.array + made.sq_entries * sizeof(unsigned);
    const std::size_t answers_end = made.cq_off.cqes + made.cq_entries * sizeof(io_uring_cqe);
    queues_ = mapping{descriptor_.get(), std::max(requests_end, answers_end), IORING_OFF_SQ_RING};
    entries_ = mapping{descriptor_.get(), made.sq_entries * sizeof(io_uring_sqe), IORING_OFF_SQES};

    requests_.head = queues_.at<unsigned>(made.sq_off.head);
    requests_.tail = queues_.at<unsigned>(made.sq_off.tail);
    requests_.flags = queues_.at<unsigned>(made.sq_off.flags);
    requests_.entries = entries_.at<io_uring_sqe>(0);
    requests_.size = made.sq_entries;
    for (unsigned i = 0; i < made.sq_entries; ++i) queues_.at<unsigned>(made.sq_off.array)[i] = i;

    answers_.head = queues_.at<unsigned>(made.cq_off.head);
    answers_.tail = queues_.at<unsigned>(made.cq_off.tail);
    answers_.lost = queues_.at<unsigned>(made.cq_off.overflow);
    answers_.entries = queues_.at<io_uring_cqe>(made.cq_off.cqes);
    answers_.mask = made.cq_entries - 1;
}

std::error_code ring::enter(unsigned wanted, std::chrono::nanoseconds timeout) noexcept {
    using namespace std::chrono;
    if (std::exchange(awaits_close_, false)) no_longer_waits(descriptor_.get());
    __kernel_timespec limit{};
    io_uring_getevents_arg argument{};
    argument.sigmask_sz = _NSIG / 8;
    if (timeout >= nanoseconds::zero()) {
        const auto whole = floor<seconds>(timeout);
        limit = {whole.count(), (timeout - whole).count()};
        argument.ts = reinterpret_cast<std::uintptr_t>(&limit);
    }
    const int taken =
        enter_ring(descriptor_.get(), unsubmitted(), wanted,
                   IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &argument, sizeof argument);
    const std::error_code outcome = taken < 0 ? last_error() : std::error_code{};
    work_off();
    return outcome;
}

void ring::work_off() noexcept {
    if (has_flag(IORING_SQ_TASKRUN)) sys::work_off(descriptor_.get(), 0);
}

void ring::hand_over_before_close() noexcept {
    if (waiting.epoch != process_epoch()) waiting.count = 0;  // a child: they are the parent's
    waiting_ring* const last = waiting.rings + waiting.count;
    if (waiting.count > 0 && last[-1].descriptor == descriptor_.get()) {
        last[-1].requests = unsubmitted();
        return;
    }
    if (awaits_close_) no_longer_waits(descriptor_.get());
    if (waiting.count == std::size(waiting.rings)) hand_over_all();
    waiting.rings[waiting.count++] = {descriptor_.get(), unsubmitted()};
    waiting.epoch = process_epoch();
    before_close = hand_over_all;
    awaits_close_ = true;
}

}  // namespace selectors::sys
