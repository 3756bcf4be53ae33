// kqueue(2), macOS and the BSDs. It knows filters, not descriptors: what those of one descriptor say in a
// wait becomes one notice. An entry ends with its descriptor number: a close takes it out, whatever
// duplicates the file has, so that there are no orphans; and a fork leaves the whole queue behind.
#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/event.h>  // after sys/types.h: kqueue(2)
#include <sys/types.h>

#include "backend/common.hpp"
#include "backend/mechanisms.hpp"
#include "system/system.hpp"

namespace selectors {
namespace {

struct filter {
    event of;
    int number;
    unsigned condition;
};

constexpr filter filters[] = {
    {event::read, EVFILT_READ, 0},
    {event::write, EVFILT_WRITE, 0},
#if defined(EVFILT_EXCEPT) && defined(NOTE_OOB)  // FreeBSD and NetBSD have no filter for priority data
    {event::priority, EVFILT_EXCEPT, NOTE_OOB},
#endif
};

/// In a notice while it is being made: a direction has come to its end.
constexpr std::uint32_t read_ended = 0x100;
constexpr std::uint32_t write_ended = 0x200;

class kqueue_backend final : public backend {
  public:
    kqueue_backend() : queue_{create()}, seen_(1024) { watch_waker(queue_, waker_); }
    ~kqueue_backend() override {
        if (epoch_ != sys::process_epoch()) queue_.release();  // the number may be anybody's by now
    }

    const char* name() const noexcept override { return "kqueue"; }
    /// Of a oneshot's two filters each would fire once: the bag emulates it.
    bool supports(trigger mode) const noexcept override {
        return mode == trigger::level || mode == trigger::edge;
    }

    admission add(const registration& wanted) override {
        // Our own are nobody's: they may have the number of a key that was closed in the bag.
        if (wanted.descriptor == queue_.get() || waker_.owns(wanted.descriptor))
            throw refusal(EBADF, wanted.descriptor);
        if (wanted.slot >= keys_.size()) keys_.resize(wanted.slot + 1);
        const int refused = change(wanted);
        const sys::file_kind kind = sys::kind_of(wanted.descriptor);
        keys_[wanted.slot].is_socket = kind == sys::file_kind::socket;
        // At the end of a file the filter falls silent; some devices have none, as macOS's /dev/null.
        const bool cannot_wait = refused != EBADF && (kind == sys::file_kind::storage ||
                                                      (refused != 0 && kind == sys::file_kind::device));
        if (refused == 0 && !cannot_wait) return admission::watched;
        remove(wanted);
        if (cannot_wait) return admission::always_ready;
        throw refusal(refused, wanted.descriptor);
    }

    void modify(const registration& wanted) override {
        if (const int refused = change(wanted); refused != 0) {
            remove(wanted);
            throw refusal(refused, wanted.descriptor);
        }
    }

    bool remove(const registration& known) noexcept override {
        key& of = keys_[known.slot];
        changes list;
        for (const filter& each : filters)
            if (of.armed & each.of) list.add(known.descriptor, each, EV_DELETE);
        list.submit(queue_);  // closed, it is out already
        std::erase(broken_, known.slot);
        of = key{};
        return true;
    }

    std::size_t wait(std::span<notice> room, std::chrono::nanoseconds timeout) override {
        const std::size_t broken = std::min(broken_.size(), room.size() / 2);
        if (!broken_.empty()) timeout = std::chrono::nanoseconds::zero();
        const timespec precise = to_timespec(timeout);
        // Never asked for no event: that would not wait at all (cpython#69866).
        const std::size_t most = std::min(room.size() - broken, seen_.size());
        const int got = ::kevent(queue_.get(), nullptr, 0, seen_.data(), static_cast<int>(most),
                                 timeout < std::chrono::nanoseconds::zero() ? nullptr : &precise);
        if (got < 0) {
            if (errno == EINTR) return 0;
            throw std::system_error(sys::last_error(), "kevent");
        }
        std::size_t count = 0;
        for (int i = 0; i < got; ++i) collect(room, count, seen_[static_cast<std::size_t>(i)]);
        report_broken(room, count, broken);
        return finish(room, count);
    }

    void wake() noexcept override { waker_.ring(); }

    native_handle descriptor() const noexcept override { return queue_.get(); }

    void reopen() override {
        sys::owned fresh = create();
        if (epoch_ == sys::process_epoch()) {  // anybody may be ringing: it stays where it is
            watch_waker(fresh, waker_);
        } else {
            sys::waker own;
            watch_waker(fresh, own);
            waker_ = std::move(own);
            epoch_ = sys::process_epoch();
            queue_.release();  // was the parent's, and is not here
        }
        queue_ = std::move(fresh);
        keys_.assign(keys_.size(), key{});
        broken_.clear();
    }

  private:
    struct key {
        std::uint32_t generation = 0;
        std::uint32_t place = 0;  ///< of its notice in the room, should it have one
        event armed;              ///< by which filters the kernel knows it
        trigger mode = trigger::level;
        bool is_socket = false;
    };

    /// Changes of one descriptor, applied with one call; the kernel answers each with a receipt.
    struct changes {
        struct kevent each[std::size(filters)];
        int count = 0;

        void add(native_handle descriptor, const filter& which, unsigned flags) noexcept {
            struct kevent& change = each[count++];
            change = {};
            change.ident = static_cast<uintptr_t>(descriptor);
            change.filter = static_cast<decltype(change.filter)>(which.number);
            change.flags = static_cast<decltype(change.flags)>(flags | EV_RECEIPT);
            change.fflags = which.condition;
        }
        /// Afterwards the errors are in `data`. False, and errno, if the call failed as a whole.
        bool submit(const sys::owned& queue) noexcept {
            return count == 0 || ::kevent(queue.get(), each, count, each, count, nullptr) == count;
        }
    };

    static sys::owned create() {
        sys::owned made{::kqueue()};
        if (made.get() < 0 || ::fcntl(made.get(), F_SETFD, FD_CLOEXEC) < 0)
            throw std::system_error(sys::last_error(), "kqueue");
        return made;
    }

    static void watch_waker(const sys::owned& queue, const sys::waker& waker) {
        changes list;
        list.add(waker.descriptor(), filters[0], EV_ADD);
        if (!list.submit(queue)) throw std::system_error(sys::last_error(), "kevent");
        if (list.each[0].data != 0) throw refusal(list.each[0].data, waker.descriptor());
    }

    static std::system_error refusal(std::intptr_t why, native_handle descriptor) {
        return {std::error_code{static_cast<int>(why), std::system_category()},
                "kevent of descriptor " + std::to_string(descriptor)};
    }

    static const filter& filter_of(const struct kevent& seen) noexcept {
        return *std::find_if(std::begin(filters), std::end(filters) - 1,
                             [&](const filter& each) { return seen.filter == each.number; });
    }

    /// Arms what is wanted and is not armed, and the reverse. Returns the first error.
    int change(const registration& wanted) {
        key& of = keys_[wanted.slot];
        broken_.reserve(broken_.size() + 1);
        std::erase(broken_, wanted.slot);
        of.generation = wanted.generation;
        of.mode = wanted.mode;
        // An edge is armed anew by adding it again: the filter looks once more.
        const bool edge = wanted.mode == trigger::edge;
        event unknown = wanted.interest;
        changes list;
        for (const filter& each : filters) {
            unknown -= each.of;
            const bool armed{of.armed & each.of};
            if (wanted.interest & each.of ? edge || !armed : armed)
                list.add(wanted.descriptor, each,
                         !(wanted.interest & each.of) ? EV_DELETE
                         : edge                       ? EV_ADD | EV_CLEAR
                                                      : EV_ADD);
        }
        of.armed |= wanted.interest - unknown;
        if (!list.submit(queue_)) return errno;
        std::intptr_t refused = unknown ? ENOTSUP : 0;
        for (int i = 0; i < list.count; ++i) {
            const event which = filter_of(list.each[i]).of;
            const std::intptr_t error = list.each[i].data;
            if (error != 0 || !(wanted.interest & which)) of.armed -= which;
            if (error == EPIPE && which == event::write)
                broken_.push_back(wanted.slot);  // nobody reads that pipe any more (mio#582)
            else if (error != 0 && (error != EINVAL || which != event::priority))
                refused = error;  // for priority EINVAL says that this is no socket, and has none
        }
        return static_cast<int>(refused);
    }

    // --- what a wait found -----------------------------------------------------------------------

    void collect(std::span<notice> room, std::size_t& count, const struct kevent& seen) noexcept {
        if (static_cast<native_handle>(seen.ident) == waker_.descriptor()) return waker_.drain();
        const event of = filter_of(seen).of;
        std::uint32_t events = of.bits();
        if (seen.flags & EV_EOF) {
            if (of == event::priority) events = 0;
            events |= of == event::write ? write_ended : read_ended;
            if (seen.fflags != 0) events |= event::error.bits();
        }
        note(room, count, static_cast<std::uint32_t>(seen.ident), events);
    }

    /// One notice a descriptor: its place is right if the notice there is its own.
    void note(std::span<notice> room, std::size_t& count, std::uint32_t slot,
              std::uint32_t events) noexcept {
        key& of = keys_[slot];
        if (of.place < count && room[of.place].slot == slot) {
            room[of.place].events |= events;
        } else {
            of.place = static_cast<std::uint32_t>(count);
            room[count++] = {events, slot, of.generation};
        }
    }

    void report_broken(std::span<notice> room, std::size_t& count, std::size_t most) noexcept {
        for (; most > 0; --most) {
            const std::uint32_t slot = broken_.front();
            note(room, count, slot, (event::write | event::error).bits());
            broken_.erase(broken_.begin());
            if (keys_[slot].mode != trigger::edge) broken_.push_back(slot);  // it has room
        }
    }

    /// Makes of directions that ended what a poll would say.
    std::size_t finish(std::span<notice> room, std::size_t count) {
        for (std::size_t i = 0; i < count;) {
            notice& each = room[i];
            if (each.events & (read_ended | write_ended)) each.events = with_hangup(each);
            if (each.events != 0) {
                ++i;
                continue;
            }
            // Asked for priority alone, it would tell of a half-close again and again.
            const key& of = keys_[each.slot];
            change(
                {static_cast<native_handle>(each.slot), each.slot, of.generation, {}, of.mode, true});
            each = room[--count];
        }
        return count;
    }

    /// A socket hangs up when both directions have ended. Of the one that no filter told of the system is
    /// asked: of that one alone, for macOS calls the end of either a hang-up.
    std::uint32_t with_hangup(const notice& seen) const noexcept {
        const std::uint32_t ended = seen.events & (read_ended | write_ended);
        std::uint32_t end = 0;
        if (!keys_[seen.slot].is_socket)  // as epoll has it for the two ends of a pipe
            end = (ended & read_ended ? event::hangup.bits() : 0) |
                  (ended & write_ended ? event::error.bits() : 0);
        else if (ended == (read_ended | write_ended) ||
                 hung_up(seen.slot, ended == read_ended ? POLLOUT : POLLIN))
            end = event::hangup.bits();
        return (seen.events - ended) | end;
    }

    static bool hung_up(std::uint32_t slot, short direction) noexcept {
        pollfd asked{static_cast<native_handle>(slot), direction, 0};
        return ::poll(&asked, 1, 0) > 0 && (asked.revents & POLLHUP) != 0;
    }

    sys::waker waker_;
    sys::owned queue_;
    unsigned epoch_ = sys::process_epoch();  ///< in which queue and waker were made
    std::vector<key> keys_;                  ///< by slot, which is the descriptor
    std::vector<std::uint32_t> broken_;      ///< slots of pipes that cannot be written to any more
    std::vector<struct kevent> seen_;
};

}  // namespace

backend_handle make_kqueue() {
    return backend_handle{new kqueue_backend};
}

}  // namespace selectors
