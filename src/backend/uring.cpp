// io_uring(7), Linux 5.19 and newer. Readiness through one ring: a poll for each descriptor that fires
// once, and is armed again with the next wait. Adding, changing and removing only write requests; all of
// them and the wait are one system call, io_uring_enter.
//
// What the ring says is a hint. A poll that fires passes on what the waker of the file thought (tcp names
// priority data whenever there is any data), knows one direction where two are ready, and may have been
// overtaken by whoever has read meanwhile. So what fired is asked once more, all of it at once, with a
// poll(2) that does not wait: what is reported is what epoll would report.
//
// Multishot polls are edges, and the kernel refuses IORING_POLL_ADD_LEVEL: hence one shot for level.
#include <bit>
#include <cerrno>
#include <cstdlib>
#include <string>
#include <vector>

#include <poll.h>

#include "backend/common.hpp"
#include "backend/mechanisms.hpp"
#include "system/ring.hpp"
#include "system/system.hpp"

namespace selectors {
namespace {

/// Requests that fit before they must be handed over: 64 KB, and 128 KB for the answers.
constexpr unsigned default_entries = 1024;

class uring_backend final : public backend {
  public:
    explicit uring_backend(unsigned entries) : entries_{entries}, ring_{entries} {}
    ~uring_backend() override { give_back_files(); }

    const char* name() const noexcept override { return "uring"; }
    /// Not exclusive: a poll with EPOLLEXCLUSIVE takes the wake-up from all others even while its thread
    /// does something else, or never waits again.
    bool supports(trigger mode) const noexcept override { return mode != trigger::exclusive; }

    admission add(const registration& wanted) override {
        if (wanted.descriptor == ring_.descriptor() || wanted.descriptor == waker_.descriptor() ||
            (!wanted.trusted && !sys::is_open(wanted.descriptor)))
            throw std::system_error(make_error_code(std::errc::bad_file_descriptor),
                                    "fcntl of descriptor " + std::to_string(wanted.descriptor));
        // A poll of it would fire again and again; the bag knows what an edge of a file is.
        if (wanted.mode == trigger::edge && sys::kind_of(wanted.descriptor) == sys::file_kind::storage)
            return admission::always_ready;
        reserve(wanted.slot);
        watch& w = watches_[wanted.slot];
        w.generation = wanted.generation;
        w.descriptor = wanted.descriptor;
        ask(wanted);
        w.changed = false;
        return admission::watched;
    }

    void modify(const registration& wanted) override {
        disarm(wanted.slot);
        ask(wanted);
        watches_[wanted.slot].changed = true;
    }

    bool remove(const registration& known) noexcept override {
        disarm(known.slot);
        watches_[known.slot].interest = 0;
        return true;  // a poll that was ended says nothing any more
    }

    std::size_t wait(std::span<notice> room, std::chrono::nanoseconds timeout) override {
        using std::chrono::nanoseconds;
        const bool all_armed = arm_listed();
        const bool sleep =
            all_armed && !rung_ && !renewal_due_ && fired_.empty() && timeout != nanoseconds::zero();
        const std::error_code outcome = ring_.enter(sleep ? 1 : 0, timeout);
        if (outcome == std::errc::file_exists || ring_.has_lost_answers()) {
            renew();  // the bag has moved to this thread, or the kernel had no memory for an answer
            return wait(room, timeout);
        }
        collect();
        while (ring_.has_requests() || (ring_.overflowed() && fired_.size() < room.size())) {
            ring_.submit();  // cancels, and fetches what there was no room for
            if (!collect()) break;
        }
        if (outcome && outcome.value() != ETIME && outcome.value() != EINTR && outcome.value() != EBUSY)
            throw std::system_error(outcome, "io_uring_enter");
        const std::size_t count = report(room);
        rung_ = false;  // not where this throws: the wait that follows must return
        return count;
    }

    void wake() noexcept override { waker_.ring(); }

    void reopen() override {
        sys::ring fresh{entries_};
        if (epoch_ != sys::process_epoch()) {  // else anybody may be ringing: it stays where it is
            waker_ = sys::waker{};
            epoch_ = sys::process_epoch();
        } else {
            give_back_files();
        }
        ring_ = std::move(fresh);
        waker_is_watched_ = false;
        for (watch& w : watches_) w = watch{.tag = w.tag};
        listed_.clear();
        fired_.clear();
    }

  private:
    /// What is known of the descriptor in a slot.
    struct watch {
        int descriptor = invalid_handle;
        std::uint32_t generation = 0;
        std::uint32_t tag = 0;      ///< of the last poll that was armed for the slot
        std::uint8_t interest = 0;  ///< event bits; 0: none is wanted, or a oneshot is spent
        trigger mode = trigger::level;
        bool armed : 1 = false;        ///< the kernel has a poll with this tag
        bool fired : 1 = false;        ///< it has answered, and nobody was told yet
        bool refused : 1 = false;      ///< the answer was an error
        bool erred : 1 = false;        ///< it said that the file has one
        bool listed : 1 = false;       ///< is about to be armed
        bool over : 1 = false;         ///< an edge that the kernel has ended, of a file: never another
        bool changed : 1 = false;      ///< by `modify`, and the kernel has not said anything to it
        bool half_closed : 1 = false;  ///< and nobody asked for it: a poll of one shot would fire again
    };
    struct fired_poll {
        std::uint32_t slot;
        std::uint32_t tag;
    };

    // What comes back with an answer: the slot of a poll and above it its tag, which is never 0.
    static constexpr std::uint64_t nobodys = 0;
    static constexpr std::uint64_t wakers = 1;
    static constexpr std::uint64_t removal = std::uint64_t{1} << 63;  ///< of the poll in the other bits
    static constexpr std::uint32_t last_tag = 0x7fff'ffff;
    static constexpr std::uint64_t poll_name(std::uint32_t slot, std::uint32_t tag) noexcept {
        return std::uint64_t{tag} << 32 | slot;
    }

    void reserve(std::uint32_t slot) {
        if (slot < watches_.size()) return;
        const std::size_t count = std::bit_ceil(slot + std::size_t{1});
        listed_.reserve(count);
        watches_.resize(count);
    }

    void list(std::uint32_t slot) noexcept {
        if (!watches_[slot].listed) listed_.push_back(slot);  // room for each slot was reserved
        watches_[slot].listed = true;
    }

    void ask(const registration& wanted) noexcept {
        watch& w = watches_[wanted.slot];
        w.interest = static_cast<std::uint8_t>(wanted.interest.bits());
        w.mode = wanted.mode;
        w.half_closed = false;
        list(wanted.slot);
    }

    // --- requests --------------------------------------------------------------------------------

    /// Hands over what was written if there is no room. False if the kernel takes nothing just now.
    template <class Filler>
    bool write(Filler fill) noexcept {
        if (ring_.write(fill)) return true;
        ring_.work_off();  // a poll cannot be ended while it is about to fire
        ring_.submit();
        return ring_.write(fill);
    }

    bool begin_poll(int descriptor, std::uint32_t events, std::uint32_t how,
                    std::uint64_t answer) noexcept {
        return write([&](io_uring_sqe& request) {
            request.opcode = IORING_OP_POLL_ADD;
            request.fd = descriptor;
            request.len = how;
            // Two 16-bit halves in the order of x86: linux/io_uring.h
            request.poll32_events =
                std::endian::native == std::endian::big ? std::rotl(events, 16) : events;
            request.user_data = answer;
        });
    }

    bool arm(std::uint32_t slot) noexcept {
        watch& w = watches_[slot];
        std::uint32_t events = w.interest;
        // Sockets wake for priority with a set of events of which io_uring overlooks this one, alone.
        if (events & POLLPRI) events |= POLLRDBAND;
        w.tag = w.tag == last_tag ? 1 : w.tag + 1;
        w.fired = w.refused = w.erred = w.over = false;
        const bool multishot = w.mode == trigger::edge || w.half_closed;
        w.armed = begin_poll(w.descriptor, events, multishot ? IORING_POLL_ADD_MULTI : 0,
                             poll_name(slot, w.tag));
        return w.armed;
    }

    /// Ends the poll of a slot, if the kernel has one, and forgets what it has answered.
    void disarm(std::uint32_t slot) noexcept {
        watch& w = watches_[slot];
        w.fired = w.refused = false;
        if (!w.armed) return;
        w.armed = false;
        // Half as dear as a cancel; it may say EALREADY, and then a cancel follows.
        end_poll(IORING_OP_POLL_REMOVE, poll_name(slot, w.tag), removal | poll_name(slot, w.tag));
    }

    bool end_poll(std::uint8_t how, std::uint64_t which, std::uint64_t answer) noexcept {
        const bool written = write([&](io_uring_sqe& request) {
            request.opcode = how;
            request.addr = which;
            request.flags = IOSQE_CQE_SKIP_SUCCESS;
            request.user_data = answer;
        });
        if (written)
            ring_.hand_over_before_close();
        else
            renewal_due_ = true;  // no memory in the kernel: a new ring has no such poll
        return written;
    }

    /// Ends all polls: the kernel would do it by and by, some time after the ring was closed. One by one,
    /// for "all" has the kernel begin its search anew for each; then what was about to fire.
    void give_back_files() noexcept {
        if (epoch_ != sys::process_epoch()) return;  // the parent's
        for (std::uint32_t slot = 0; slot < watches_.size(); ++slot) {
            if (!watches_[slot].armed) continue;
            if (!end_poll(IORING_OP_POLL_REMOVE, poll_name(slot, watches_[slot].tag), nobodys))
                return;  // another thread's ring, or no memory
        }
        write([](io_uring_sqe& request) {
            request.opcode = IORING_OP_ASYNC_CANCEL;
            request.cancel_flags = IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY;
        });
        ring_.submit();
    }

    /// False if the kernel did not take all of them.
    bool arm_listed() {
        if (renewal_due_) renew();
        if (!waker_is_watched_)
            waker_is_watched_ = begin_poll(waker_.descriptor(), POLLIN, IORING_POLL_ADD_MULTI, wakers);
        std::size_t done = 0;
        for (; done < listed_.size(); ++done) {
            watch& w = watches_[listed_[done]];
            if (w.interest != 0 && !w.armed && !w.fired) {
                if (!ring_.has_room()) {  // answers are taken at once, so that there is room for more
                    ring_.submit();
                    collect();
                }
                if (!arm(listed_[done])) break;
            }
            w.listed = false;
        }
        listed_.erase(listed_.begin(), listed_.begin() + static_cast<std::ptrdiff_t>(done));
        return listed_.empty() && waker_is_watched_;
    }

    /// A new ring, in which everybody is about to be armed.
    void renew() {
        sys::ring fresh{entries_};
        give_back_files();
        ring_ = std::move(fresh);
        renewal_due_ = waker_is_watched_ = false;
        for (std::uint32_t slot = 0; slot < watches_.size(); ++slot) {
            watches_[slot].armed = false;
            if (watches_[slot].interest != 0) list(slot);
        }
    }

    // --- answers ---------------------------------------------------------------------------------

    /// Notes which polls have fired. False if there are no answers.
    bool collect() {
        const bool overflowed = ring_.overflowed();
        // Where there was no room for an answer multishot polls end; else only those of files that cannot
        // be waited for, and would again.
        const bool may_begin_anew = std::exchange(overflowed_, overflowed) || overflowed;
        const std::size_t count = ring_.answers();
        fired_.reserve(fired_.size() + count);
        ring_.take(count, [this, may_begin_anew](const io_uring_cqe& answer) {
            const auto slot = static_cast<std::uint32_t>(answer.user_data);
            const auto tag = static_cast<std::uint32_t>(answer.user_data >> 32);
            const bool goes_on = (answer.flags & IORING_CQE_F_MORE) != 0;
            if (answer.user_data == wakers) {
                waker_is_watched_ = goes_on;
                rung_ = true;
            }
            if (answer.user_data & removal) {
                // It was about to fire. Should it think better of it, it would keep the file open.
                if (answer.res == -EALREADY)
                    end_poll(IORING_OP_ASYNC_CANCEL, answer.user_data - removal, nobodys);
                return;
            }
            if (tag == 0 || watches_[slot].tag != tag || !watches_[slot].armed) return;
            watch& w = watches_[slot];
            w.armed = goes_on;
            w.over = w.mode == trigger::edge && !goes_on && !may_begin_anew;
            if (answer.res == -ECANCELED) {  // Linux 5.19: when the thread ends that asked for it
                renewal_due_ = true;
                return;
            }
            if (answer.res == -EBADF && !w.changed) return;  // closed in the bag: nobody hears of it
            if (answer.res == -EINVAL) return;  // a file that is never ready for this, nor will be
            w.changed = false;
            if (answer.res < 0)
                w.refused = true;
            else if (answer.res & POLLERR)
                w.erred = true;
            if (!w.fired) fired_.push_back({slot, tag});
            w.fired = true;
        });
        return count > 0;
    }

    /// Asks those that fired first once more, and says what is true now.
    std::size_t report(std::span<notice> room) {
        std::size_t looked_at = std::min(fired_.size(), room.size());
        polled_.clear();
        for (std::size_t i = 0; i < looked_at; ++i) {
            const watch& w = watches_[fired_[i].slot];
            polled_.push_back({is_current(fired_[i]) ? w.descriptor : -1,
                               static_cast<short>(w.interest | POLLRDHUP), 0});
        }
        while (!polled_.empty() && ::poll(polled_.data(), polled_.size(), 0) < 0)
            if (errno == EINVAL && looked_at > 1)  // more than RLIMIT_NOFILE, which was lowered
                polled_.resize(looked_at /= 2);
            else if (errno != EINTR)
                throw std::system_error(sys::last_error(), "poll");

        std::size_t count = 0;
        for (std::size_t i = 0; i < looked_at; ++i) {
            if (!is_current(fired_[i])) continue;
            const std::uint32_t slot = fired_[i].slot;
            watch& w = watches_[slot];
            w.fired = false;
            auto events = static_cast<unsigned short>(polled_[i].revents & ~POLLRDHUP);
            if (w.refused) {
                room[count++] = {event::error.bits() | notice::refused, slot, w.generation};
                w.interest = 0;
                continue;
            }
            if (events & POLLNVAL) continue;  // closed in the bag
            // That a file of /proc has changed is told to whoever asks first (fs/proc_namespace.c).
            if (w.erred && sys::kind_of(w.descriptor) == sys::file_kind::storage)
                events |= POLLERR | (w.interest & POLLPRI);
            w.erred = false;
            if (events != 0) room[count++] = {events, slot, w.generation};
            // The kernel tells of a half-close unasked (IO_POLL_UNMASK in its io_uring/poll.c). Who waits
            // for something else is told of changes alone, until there is one.
            if (w.mode != trigger::edge) {
                w.half_closed = events == 0 && (polled_[i].revents & POLLRDHUP) != 0;
                if (!w.half_closed && w.armed) disarm(slot);
            }
            if (events != 0 && w.mode == trigger::oneshot)
                w.interest = 0;
            else if (!w.armed && !w.over)
                list(slot);
        }
        fired_.erase(fired_.begin(), fired_.begin() + static_cast<std::ptrdiff_t>(looked_at));
        return count;
    }

    bool is_current(const fired_poll& each) const noexcept {
        return watches_[each.slot].fired && watches_[each.slot].tag == each.tag;
    }

    unsigned entries_;
    sys::waker waker_;
    sys::ring ring_;
    unsigned epoch_ = sys::process_epoch();  ///< in which the two were made
    bool waker_is_watched_ = false;
    bool rung_ = false;  ///< the waker, and no wait has returned since
    bool renewal_due_ = false;
    bool overflowed_ = false;            ///< the kernel had to keep answers for which there was no room
    std::vector<watch> watches_;         ///< by slot
    std::vector<std::uint32_t> listed_;  ///< slots to be armed with the next wait
    std::vector<fired_poll> fired_;      ///< first come, first told
    std::vector<pollfd> polled_;
};

/// SELECTORS_URING_ENTRIES, for small machines and for tests of small rings.
unsigned entries_wanted() {
    const char* text = std::getenv("SELECTORS_URING_ENTRIES");
    if (!text || !*text) return default_entries;
    char* end = nullptr;
    const long wanted = std::strtol(text, &end, 10);
    if (*end != '\0' || wanted < 1 || wanted > 32768)
        throw std::invalid_argument("SELECTORS_URING_ENTRIES is \"" + std::string{text} +
                                    "\"; a number from 1 to 32768 is wanted");
    return static_cast<unsigned>(wanted);
}

}  // namespace

backend_handle make_uring() {
    return backend_handle{new uring_backend{entries_wanted()}};
}

}  // namespace selectors
