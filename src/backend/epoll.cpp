// epoll(7), Linux. Level-triggered unless asked otherwise; the kernel gives {slot, generation} back
// with every event and writes notices in place.
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdio>
#include <string>

#include <sys/epoll.h>
#include <sys/utsname.h>

#include "backend/common.hpp"
#include "backend/mechanisms.hpp"
#include "system/system.hpp"

namespace selectors {
namespace {

static_assert(event::read.bits() == EPOLLIN && event::write.bits() == EPOLLOUT &&
              event::priority.bits() == EPOLLPRI && event::error.bits() == EPOLLERR &&
              event::hangup.bits() == EPOLLHUP);

/// True on x86-64, where epoll_event is packed: then the kernel's buffer is the bag's.
constexpr bool in_place =
    sizeof(epoll_event) == sizeof(notice) && offsetof(epoll_event, data) == offsetof(notice, slot);

constexpr std::uint32_t flags_of(trigger mode) noexcept {
    switch (mode) {
    case trigger::oneshot: return EPOLLONESHOT;
    case trigger::edge: return EPOLLET;
    case trigger::exclusive: return EPOLLEXCLUSIVE;
    case trigger::level: break;
    }
    return 0;
}

epoll_event make_event(std::uint32_t events, std::uint32_t slot, std::uint32_t generation) noexcept {
    epoll_event made{};
    made.events = events;
    made.data.u64 = std::uint64_t{generation} << 32 | slot;  // slot first in memory, as in notice
    return made;
}

/// Before Linux 6.4 the close of a file that is still in a set takes a lock that the whole machine shares ("epoll: use
/// refcount to reduce ep_mutex contention", P. Abeni).
bool forgetting_is_cheap() noexcept {
    static const bool cheap = [] {
        utsname system{};
        int major = 0, minor = 0;
        if (::uname(&system) < 0 || std::sscanf(system.release, "%d.%d", &major, &minor) != 2)
            return false;
        return major > 6 || (major == 6 && minor >= 4);
    }();
    return cheap;
}

class epoll_backend final : public backend {
  public:
    epoll_backend() : set_{create()} { watch_waker(set_, waker_); }

    const char* name() const noexcept override { return "epoll"; }
    bool supports(trigger) const noexcept override { return true; }

    admission add(const registration& wanted) override {
        // Our own are nobody's: they may have the number of a key that was closed in the bag.
        if (wanted.descriptor == set_.get() || waker_.owns(wanted.descriptor))
            throw refusal(make_error_code(std::errc::bad_file_descriptor), wanted.descriptor);
        if (still_there_ == sure && wanted.mode != trigger::exclusive &&
            control(EPOLL_CTL_MOD, wanted) == 0)
            return admission::watched;
        if (control(EPOLL_CTL_ADD, wanted) == 0) {
            still_there_ = 0;
            return admission::watched;
        }
        if (errno == EPERM) return admission::always_ready;  // no poll method: epoll_ctl(2)
        // What was left in there, or an orphan whose file has come back to its old number: it is the key's now.
        if (errno == EEXIST && take_over(wanted)) {
            if (still_there_ < sure) ++still_there_;
            return admission::watched;
        }
        throw refusal(sys::last_error(), wanted.descriptor);
    }

    void modify(const registration& wanted) override {
        // The kernel refuses to change an exclusive entry (EINVAL): take it out and in again.
        if (wanted.mode == trigger::exclusive ? replace(wanted) : control(EPOLL_CTL_MOD, wanted) == 0)
            return;
        const std::error_code why = sys::last_error();
        remove(wanted);
        throw refusal(why, wanted.descriptor);
    }

    bool remove(const registration& known) noexcept override {
        return control(EPOLL_CTL_DEL, known) == 0;
    }

    bool forgets_what_is_closed() const noexcept override { return forgetting_is_cheap(); }

    std::size_t wait(std::span<notice> room, std::chrono::nanoseconds timeout) override {
        if constexpr (in_place) {
            return wait_for(reinterpret_cast<epoll_event*>(room.data()), room.size(), timeout);
        } else {
            epoll_event seen[128];
            const auto fit = room.size() < std::size(seen) ? room.size() : std::size(seen);
            const std::size_t count = wait_for(seen, fit, timeout);
            for (std::size_t i = 0; i < count; ++i)
                room[i] = {seen[i].events, static_cast<std::uint32_t>(seen[i].data.u64),
                           static_cast<std::uint32_t>(seen[i].data.u64 >> 32)};
            return count;
        }
    }

    void wake() noexcept override { waker_.ring(); }

    native_handle descriptor() const noexcept override { return set_.get(); }

    void reopen() override {
        sys::owned fresh = create_in_its_place();
        if (epoch_ == sys::process_epoch()) {  // anybody may be ringing: it stays where it is
            watch_waker(fresh, waker_);
        } else {
            sys::waker own;
            watch_waker(fresh, own);
            waker_ = std::move(own);
            epoch_ = sys::process_epoch();
        }
        set_ = std::move(fresh);
    }

  private:
    static sys::owned create() {
        sys::owned made{::epoll_create1(EPOLL_CLOEXEC)};
        if (made.get() < 0) throw std::system_error(sys::last_error(), "epoll_create1");
        return made;
    }

    /// Where there is no descriptor left, ours makes room.
    sys::owned create_in_its_place() {
        try {
            return create();
        } catch (const std::system_error& refused) {
            if (epoch_ != sys::process_epoch() || !is_want_of_descriptors(refused.code())) throw;
        }
        set_ = sys::owned{invalid_handle};
        return create();
    }

    static bool is_want_of_descriptors(const std::error_code& why) noexcept {
        return why == std::errc::too_many_files_open || why == std::errc::too_many_files_open_in_system;
    }

    /// Edge-triggered: every ring is an event of its own, and nobody needs to read it away.
    static void watch_waker(const sys::owned& set, const sys::waker& waker) {
        epoll_event nobodys = make_event(EPOLLIN | EPOLLET, 0, 0);
        if (::epoll_ctl(set.get(), EPOLL_CTL_ADD, waker.descriptor(), &nobodys) < 0)
            throw std::system_error(sys::last_error(), "epoll_ctl(EPOLL_CTL_ADD)");
    }

    static std::system_error refusal(std::error_code why, native_handle descriptor) {
        return {why, "epoll_ctl of descriptor " + std::to_string(descriptor)};
    }

    int control(int operation, const registration& of) noexcept {
        epoll_event event = make_event(of.interest.bits() | flags_of(of.mode), of.slot, of.generation);
        return ::epoll_ctl(set_.get(), operation, of.descriptor, &event);
    }

    bool take_over(const registration& wanted) noexcept {
        return (wanted.mode != trigger::exclusive && control(EPOLL_CTL_MOD, wanted) == 0) ||
               replace(wanted);
    }

    bool replace(const registration& wanted) noexcept {
        return control(EPOLL_CTL_DEL, wanted) == 0 && control(EPOLL_CTL_ADD, wanted) == 0;
    }

    std::size_t wait_for(epoll_event* room, std::size_t size, std::chrono::nanoseconds timeout) {
        const int count = call(room, static_cast<int>(size), timeout);
        if (count >= 0) return static_cast<std::size_t>(count);
        if (errno == EINTR) return 0;
        throw std::system_error(sys::last_error(), "epoll_wait");
    }

    int call(epoll_event* room, int size, std::chrono::nanoseconds timeout) {
        using namespace std::chrono;
        if (timeout <= nanoseconds::zero())
            return ::epoll_wait(set_.get(), room, size, timeout < nanoseconds::zero() ? -1 : 0);
        if (!coarse_) {
            const timespec precise = to_timespec(timeout);
            const int count = ::epoll_pwait2(set_.get(), room, size, &precise, nullptr);
            // Kernels before 5.11 lack it; old sandboxes say EPERM to what they don't know.
            if (count >= 0 || (errno != ENOSYS && errno != EPERM)) return count;
            coarse_ = true;
        }
        const auto rounded = ceil<milliseconds>(timeout).count();
        return ::epoll_wait(set_.get(), room, size,
                            rounded < INT_MAX ? static_cast<int>(rounded) : INT_MAX);
    }

    /// Who adds again what he has removed, and does not close it, does so again and again: once the kernel has had what
    /// was added this often in a row, it is first asked to change that, and only then to add.
    static constexpr unsigned char sure = 2;

    sys::waker waker_;
    sys::owned set_;
    unsigned epoch_ = sys::process_epoch();
    bool coarse_ = false;  ///< the kernel has only milliseconds
    unsigned char still_there_ = 0;
};

}  // namespace

backend_handle make_epoll() {
    return backend_handle{new epoll_backend};
}

}  // namespace selectors
