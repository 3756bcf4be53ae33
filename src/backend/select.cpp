// select(2), every Unix. Own bit arrays, as long as the highest descriptor needs: FD_SETSIZE (1,024)
// is a limit of the C library's fd_set, not of the system call. select says neither hang-up nor error,
// so what it finds ready is asked once more, of all at once, with a poll that does not wait.
#include <algorithm>
#include <cerrno>
#include <climits>
#include <vector>

#include <poll.h>
#include <sys/select.h>

#include "backend/common.hpp"
#include "backend/mechanisms.hpp"
#include "system/system.hpp"

namespace selectors {
namespace {

/// One bit a descriptor, laid out as the kernel reads it.
class descriptor_set {
  public:
    void resize(std::size_t words) { words_.resize(words); }
    void clear() noexcept { std::fill(words_.begin(), words_.end(), 0); }
    void put(std::uint32_t descriptor, bool in) noexcept {
        const unsigned long bit = 1UL << descriptor % bits_per_word;
        unsigned long& word = words_[descriptor / bits_per_word];
        word = in ? word | bit : word & ~bit;
    }
    unsigned long word(std::size_t index) const noexcept { return words_[index]; }
    fd_set* native() noexcept { return reinterpret_cast<fd_set*>(words_.data()); }

    static constexpr std::size_t bits_per_word = sizeof(unsigned long) * CHAR_BIT;

  private:
    std::vector<unsigned long> words_;
};

class select_backend final : public backend {
  public:
    select_backend() { watch_waker(); }

    const char* name() const noexcept override { return "select"; }
    bool supports(trigger mode) const noexcept override { return mode == trigger::level; }

    admission add(const registration& wanted) override {
        require_open(wanted.descriptor, waker_);
        reserve(wanted.slot);
        generation_[wanted.slot] = wanted.generation;
        ask(wanted.slot, wanted.interest);
        return admission::watched;
    }

    void modify(const registration& wanted) override {
        try {
            require_open(wanted.descriptor, waker_);
        } catch (...) {
            remove(wanted);
            throw;
        }
        ask(wanted.slot, wanted.interest);
    }

    bool remove(const registration& known) noexcept override {
        ask(known.slot, event::none);
        return true;  // an array holds no orphans
    }

    std::size_t wait(std::span<notice> room, std::chrono::nanoseconds timeout) override {
        while (call(timeout) < 0) {
            if (errno == EINTR) return 0;
            if (errno != EBADF) throw std::system_error(sys::last_error(), "select");
            forget_closed();
        }
        list_found();
        return report(room);
    }

    void wake() noexcept override { waker_.ring(); }

    void reopen() override {
        if (epoch_ != sys::process_epoch()) {  // else anybody may be ringing: it stays where it is
            sys::waker fresh;
            reserve(static_cast<std::uint32_t>(fresh.descriptor()));
            waker_ = std::move(fresh);
            epoch_ = sys::process_epoch();
        }
        for (auto& set : asked_) set.clear();
        watch_waker();
    }

  private:
    static constexpr event directions[3] = {event::read, event::write, event::priority};

    void reserve(std::uint32_t descriptor) {
        if (descriptor < generation_.size()) return;
        const std::size_t words = descriptor / descriptor_set::bits_per_word + 1;
        for (auto& set : asked_) set.resize(words);
        for (auto& set : found_) set.resize(words);
        polled_.reserve(words * descriptor_set::bits_per_word);
        generation_.resize(words * descriptor_set::bits_per_word);
    }

    void ask(std::uint32_t descriptor, event interest) noexcept {
        for (int i = 0; i < 3; ++i) asked_[i].put(descriptor, bool(interest & directions[i]));
    }

    event asked(std::uint32_t descriptor) const noexcept {
        const auto word = descriptor / descriptor_set::bits_per_word;
        event interest;
        for (int i = 0; i < 3; ++i)
            if (asked_[i].word(word) >> descriptor % descriptor_set::bits_per_word & 1)
                interest |= directions[i];
        return interest;
    }

    void watch_waker() {
        const auto waker = static_cast<std::uint32_t>(waker_.descriptor());
        reserve(waker);
        generation_[waker] = 0;
        ask(waker, event::read);
    }

    /// Puts every descriptor that has a bit in one of the sets into polled_.
    void list(const descriptor_set (&sets)[3]) noexcept {
        polled_.clear();
        for (std::size_t word = 0; word < generation_.size() / descriptor_set::bits_per_word; ++word)
            for (auto bits = sets[0].word(word) | sets[1].word(word) | sets[2].word(word); bits != 0;
                 bits &= bits - 1) {
                const auto descriptor = static_cast<std::uint32_t>(
                    word * descriptor_set::bits_per_word + static_cast<unsigned>(__builtin_ctzl(bits)));
                polled_.push_back(
                    {static_cast<int>(descriptor), static_cast<short>(asked(descriptor).bits()), 0});
            }
    }

    void list_found() {
        list(found_);
        // A signal interrupts even a poll that does not wait, if nothing is ready.
        while (::poll(polled_.data(), polled_.size(), 0) < 0)
            if (errno != EINTR) throw std::system_error(sys::last_error(), "poll");
    }

    /// Closed while they were in the bag: select fails as a whole until they are taken out.
    void forget_closed() noexcept {
        list(asked_);
        for (const pollfd& each : polled_)
            if (!sys::is_open(each.fd)) ask(static_cast<std::uint32_t>(each.fd), event::none);
    }

    /// Goes round once, beginning after the descriptor where the room last ended.
    std::size_t report(std::span<notice> room) noexcept {
        std::rotate(polled_.begin(),
                    std::lower_bound(polled_.begin(), polled_.end(), next_,
                                     [](const pollfd& a, int b) { return a.fd < b; }),
                    polled_.end());
        std::size_t count = 0;
        for (const pollfd& each : polled_) {
            next_ = each.fd;
            if (count == room.size()) break;
            ++next_;
            const auto events = static_cast<unsigned short>(each.revents);
            const auto descriptor = static_cast<std::uint32_t>(each.fd);
            if (each.fd == waker_.descriptor())
                waker_.drain();
            else if (each.revents & POLLNVAL)
                ask(descriptor, event::none);  // closed between the two calls
            else if (events != 0)
                room[count++] = {events, descriptor, generation_[descriptor]};
        }
        return count;
    }

    int call(std::chrono::nanoseconds timeout) {
        using namespace std::chrono;
        for (int i = 0; i < 3; ++i) found_[i] = asked_[i];
        const auto highest = static_cast<int>(generation_.size());
        const timespec precise = to_timespec(timeout);
        return ::pselect(highest, found_[0].native(), found_[1].native(), found_[2].native(),
                         timeout < nanoseconds::zero() ? nullptr : &precise, nullptr);
    }

    sys::waker waker_;
    unsigned epoch_ = sys::process_epoch();  ///< in which the waker was made
    descriptor_set asked_[3];                ///< by direction
    descriptor_set found_[3];                ///< what the last call left of asked_
    std::vector<std::uint32_t> generation_;  ///< by descriptor
    std::vector<pollfd> polled_;             ///< the ready ones, ascending, and what they are ready for
    int next_ = 0;                           ///< where to begin reporting
};

}  // namespace

backend_handle make_select() {
    return backend_handle{new select_backend};
}

}  // namespace selectors
