// poll(2), every Unix. One array entry a descriptor; the first is the waker's.
#include <cerrno>
#include <vector>

#include <poll.h>

#include "backend/common.hpp"
#include "backend/mechanisms.hpp"
#include "system/system.hpp"

namespace selectors {
namespace {

static_assert(event::read.bits() == POLLIN && event::write.bits() == POLLOUT &&
              event::priority.bits() == POLLPRI && event::error.bits() == POLLERR &&
              event::hangup.bits() == POLLHUP);

constexpr std::uint32_t absent = ~std::uint32_t{0};

class poll_backend final : public backend {
  public:
    poll_backend() { watch_waker(); }

    const char* name() const noexcept override { return "poll"; }
    bool supports(trigger mode) const noexcept override { return mode == trigger::level; }

    admission add(const registration& wanted) override {
        require_open(wanted.descriptor, waker_);
        if (wanted.slot >= position_.size()) position_.resize(wanted.slot + 1, absent);
        if (polled_.size() == polled_.capacity() || owners_.size() == owners_.capacity()) {
            polled_.reserve(polled_.size() * 2);
            owners_.reserve(polled_.size() * 2);
        }
        position_[wanted.slot] = static_cast<std::uint32_t>(polled_.size());
        polled_.push_back({wanted.descriptor, static_cast<short>(wanted.interest.bits()), 0});
        owners_.push_back({wanted.slot, wanted.generation});
        return admission::watched;
    }

    void modify(const registration& wanted) override {
        try {
            require_open(wanted.descriptor, waker_);
        } catch (...) {
            remove(wanted);
            throw;
        }
        if (position_[wanted.slot] == absent)  // was closed when last polled, and is open anew
            add(wanted);
        else
            polled_[position_[wanted.slot]].events = static_cast<short>(wanted.interest.bits());
    }

    bool remove(const registration& known) noexcept override {
        const std::uint32_t at = std::exchange(position_[known.slot], absent);
        if (at != absent) drop(at);
        return true;  // an array holds no orphans
    }

    std::size_t wait(std::span<notice> room, std::chrono::nanoseconds timeout) override {
        const int ready = call(timeout);
        if (ready < 0) {
            if (errno == EINTR) return 0;
            throw std::system_error(sys::last_error(), "poll");
        }
        auto left = static_cast<std::size_t>(ready);
        if (polled_[0].revents != 0) {
            waker_.drain();
            --left;
        }
        return collect(room, left);
    }

    void wake() noexcept override { waker_.ring(); }

    void reopen() override {
        if (epoch_ != sys::process_epoch()) {  // else anybody may be ringing: it stays where it is
            waker_ = sys::waker{};
            epoch_ = sys::process_epoch();
        }
        polled_.clear();
        owners_.clear();
        position_.assign(position_.size(), absent);
        watch_waker();
    }

  private:
    struct owner {
        std::uint32_t slot;
        std::uint32_t generation;
    };

    void watch_waker() {
        polled_.push_back({waker_.descriptor(), POLLIN, 0});
        owners_.push_back({absent, 0});
    }

    /// The last entry takes the place of the one at `at`.
    void drop(std::uint32_t at) noexcept {
        if (at + 1 != polled_.size()) {
            polled_[at] = polled_.back();
            owners_[at] = owners_.back();
            position_[owners_[at].slot] = at;
        }
        polled_.pop_back();
        owners_.pop_back();
    }

    /// Goes round, beginning where the room last ended, until the `left` ready ones are found.
    std::size_t collect(std::span<notice> room, std::size_t left) noexcept {
        std::size_t count = 0;
        std::uint32_t at = next_;
        for (; left > 0; ++at) {
            if (at == 0 || at >= polled_.size()) at = 1;
            if (polled_[at].revents == 0) continue;
            if (count == room.size()) break;
            // Taken, so that an entry that `drop` moves is not reported twice.
            const auto events = static_cast<unsigned short>(std::exchange(polled_[at].revents, 0));
            --left;
            if (events & POLLNVAL) {
                // Closed while it was in the bag. Reported for ever if it stayed; epoll says nothing.
                position_[owners_[at].slot] = absent;
                drop(at--);
                continue;
            }
            room[count++] = {events, owners_[at].slot, owners_[at].generation};
        }
        next_ = at;
        return count;
    }

    int call(std::chrono::nanoseconds timeout) {
        const timespec precise = to_timespec(timeout);
        return sys::poll(polled_.data(), polled_.size(),
                         timeout < std::chrono::nanoseconds::zero() ? nullptr : &precise);
    }

    sys::waker waker_;
    unsigned epoch_ = sys::process_epoch();  ///< in which the waker was made
    std::vector<pollfd> polled_;
    std::vector<owner> owners_;            ///< of the entry at the same place
    std::vector<std::uint32_t> position_;  ///< by slot: where its entry is
    std::uint32_t next_ = 1;               ///< where to begin looking
};

}  // namespace

backend_handle make_poll() {
    return backend_handle{new poll_backend};
}

}  // namespace selectors
