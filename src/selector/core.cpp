#include <algorithm>
#include <atomic>
#include <bit>
#include <memory>
#include <string>
#include <vector>

#include <selectors/selector.hpp>

#include "system/system.hpp"

namespace selectors {

already_registered::~already_registered() = default;
not_registered::~not_registered() = default;

namespace detail {
namespace {

using std::chrono::nanoseconds;
using time_point = std::chrono::steady_clock::time_point;

/// How many notices one wait can bring: 12 KB.
constexpr std::size_t batch_size = 1024;

constexpr event askable = event::read | event::write | event::priority;
constexpr event both_ways = event::read | event::write;

std::string descriptor_text(native_handle descriptor) {
    return "descriptor " + std::to_string(descriptor);
}

void require_askable(event interest) {
    if (interest - askable)
        throw std::invalid_argument("the interest " + to_string(interest) +
                                    " cannot be asked for: name read, write and priority; "
                                    "error and hangup are always reported");
}

}  // namespace

/// What is not needed once an event. What is not needed once a wait is kept out of line, so that the
/// wait itself stays short.
struct core::books {
    explicit books(backend_handle opened)
        : mechanism{std::move(opened)}, native_oneshot{mechanism->supports(trigger::oneshot)} {}

    backend_handle mechanism;
    bool native_oneshot;
    std::vector<slot> slots;
    std::vector<std::uint32_t> changes;  ///< slots to look at before the next wait
    std::vector<std::uint32_t> files;    ///< always ready, and asked for
    std::size_t known_files = 0;         ///< parked ones, too
    std::size_t next_file = 0;           ///< where to begin reporting them
    std::size_t size = 0;
    nanoseconds spin{};
    std::atomic<bool> woken = false;
    unsigned epoch = sys::process_epoch();
    bool orphans = false;      ///< the kernel may report what is not armed here any more
    bool rebuild_due = false;  ///< it did
    notice batch[batch_size];

    static event interest(const slot& s) noexcept { return event::from_bits(s.interest); }
    static bool enrolled(const slot& s) noexcept { return s.applied != 0 || s.has(slot::spent); }

    registration registration_of(std::uint32_t index) const noexcept {
        const slot& s = slots[index];
        return {descriptor_of(index), index, s.generation, interest(s), s.mode};
    }

    // --- the two lists: a slot is in at most one of them, and knows where ------------------------

    void list(std::vector<std::uint32_t>& in, std::uint32_t index) noexcept {
        if (slots[index].position != nowhere) return;
        slots[index].position = static_cast<std::uint32_t>(in.size());
        in.push_back(index);  // room was reserved when the table grew, or the file was found
    }
    void unlist(std::vector<std::uint32_t>& from, std::uint32_t index) noexcept {
        const std::uint32_t at = std::exchange(slots[index].position, nowhere);
        if (at == nowhere) return;
        slots[from.back()].position = from.back() == index ? nowhere : at;
        from[at] = from.back();
        from.pop_back();
    }

    void grow(std::uint32_t index) {
        if (index < slots.size()) return;
        const std::size_t count = std::max<std::size_t>({index + std::size_t{1}, 16, slots.size() * 2});
        changes.reserve(count);
        slots.resize(count);
    }

    // --- what the kernel is told -----------------------------------------------------------------

    /// A notice of an ordinary key may be handed on as it came.
    void stamp(slot& s) noexcept {
        const bool ordinary = s.interest != 0 && s.interest == s.applied && s.mode != trigger::oneshot;
        s.stamp = ordinary ? s.generation : nowhere;
    }

    void list_file(std::uint32_t index) noexcept {
        if (interest(slots[index]) & both_ways)
            list(files, index);
        else
            unlist(files, index);
    }

    /// Arms a slot that the mechanism does not have; throws what it throws.
    void enroll(std::uint32_t index) {
        slot& s = slots[index];
        if (mechanism->add(registration_of(index)) == admission::always_ready) {
            files.reserve(std::bit_ceil(known_files + 1));  // each has room in the list, for good
            ++known_files;
            s.state |= slot::file;
            list_file(index);
        } else {
            s.applied = s.interest;
        }
        stamp(s);
    }

    void withdraw(std::uint32_t index) noexcept {
        slot& s = slots[index];
        if (enrolled(s) && !mechanism->remove(registration_of(index))) orphans = true;
        s.applied = 0;
        s.state &= static_cast<std::uint8_t>(~slot::spent);
        stamp(s);
    }

    /// Makes the kernel's interest the user's.
    void apply(std::uint32_t index) {
        slot& s = slots[index];
        if (s.interest == s.applied && !s.has(slot::spent)) return stamp(s);
        if (s.interest == 0) {
            // A spent oneshot stays where it is, disarmed: arming it again is one call, not two.
            return s.has(slot::spent) ? stamp(s) : withdraw(index);
        }
        if (!enrolled(s)) return enroll(index);
        mechanism->modify(registration_of(index));
        s.applied = s.interest;
        s.state &= static_cast<std::uint8_t>(~slot::spent);
        stamp(s);
    }

    /// A change failed: the user is told with the next batch. The number was perhaps closed, and then
    /// its file may live on.
    void fail(std::uint32_t index) noexcept {
        slot& s = slots[index];
        orphans = true;
        s.applied = 0;
        s.state = slot::in_use | slot::failed;
        s.stamp = nowhere;
        list(changes, index);
    }

    /// Applies what was deferred; what fails becomes a notice. Returns how many of those there are.
    [[gnu::noinline]] std::size_t apply_changes() noexcept {
        std::size_t failures = 0;
        while (!changes.empty() && failures < batch_size) {
            const std::uint32_t index = changes.back();
            unlist(changes, index);
            slot& s = slots[index];
            if (!s.has(slot::failed)) {
                try {
                    apply(index);
                    continue;
                } catch (const std::exception&) {
                    fail(index);
                    unlist(changes, index);
                }
            }
            batch[failures++] = {(event::error | (interest(s) & both_ways)).bits(), index,
                                 s.generation};
        }
        return failures;
    }

    /// A kernel set of our own, with everybody in it.
    [[gnu::noinline]] void rebuild() {
        mechanism->reopen();
        epoch = sys::process_epoch();
        orphans = rebuild_due = false;
        for (std::uint32_t index = 0; index < slots.size(); ++index) {
            slot& s = slots[index];
            if (!s.has(slot::in_use) || s.has(slot::file)) continue;
            const bool armed = s.applied != 0;
            s.applied = 0;
            s.state &= static_cast<std::uint8_t>(~slot::spent);
            if (!armed || s.interest == 0) continue;
            unlist(changes, index);
            try {
                enroll(index);
            } catch (const std::exception&) {
                fail(index);
            }
        }
        if (woken.load(std::memory_order_relaxed)) mechanism->wake();
    }

    /// After a fork the kernel's set is still the parent's.
    bool foreign() const noexcept { return epoch != sys::process_epoch(); }

    // --- waiting ---------------------------------------------------------------------------------

    /// Drops what is the mechanism's own and, where there may be orphans, theirs.
    std::size_t sift(notice* fresh, std::size_t count) noexcept {
        if (orphans) [[unlikely]]
            count = sift_orphans(fresh, count);
        return count == 1 && fresh->generation == 0 ? 0 : count;
    }

    /// Where there are some, the kernel's set is made anew before the next wait: not now, for the batch
    /// has yet to say what is spent.
    [[gnu::noinline]] std::size_t sift_orphans(notice* fresh, std::size_t count) noexcept {
        auto* last = std::remove_if(fresh, fresh + count, [&](const notice& seen) {
            if (seen.generation == 0) return false;
            const slot& s = slots[seen.slot];
            return seen.generation != s.generation || s.applied == 0;
        });
        const auto kept = static_cast<std::size_t>(last - fresh);
        rebuild_due = kept != count;
        return kept;
    }

    [[gnu::noinline]] std::size_t report_files(notice* room, std::size_t most) noexcept {
        const std::size_t count = std::min(most, files.size());
        for (std::size_t i = 0; i < count; ++i) {
            if (next_file >= files.size()) next_file = 0;
            const std::uint32_t index = files[next_file++];
            room[i] = {(interest(slots[index]) & both_ways).bits(), index, slots[index].generation};
        }
        return count;
    }

    std::size_t wait(std::span<notice> room, nanoseconds timeout) {
        if (spin > nanoseconds::zero() && timeout != nanoseconds::zero()) [[unlikely]]
            return spin_and_wait(room, timeout);
        return sift(room.data(), mechanism->wait(room, timeout));
    }

    [[gnu::noinline]] std::size_t spin_and_wait(std::span<notice> room, nanoseconds timeout) {
        const bool limited = timeout > nanoseconds::zero();
        const time_point start = sys::now();
        const auto limit = limited ? std::min(spin, timeout) : spin;
        do {
            const std::size_t count = sift(room.data(), mechanism->wait(room, nanoseconds::zero()));
            if (count > 0 || rebuild_due || woken.load(std::memory_order_relaxed)) return count;
        } while (sys::now() - start < limit);
        if (limited) timeout -= sys::now() - start;
        if (limited && timeout <= nanoseconds::zero()) return 0;
        return sift(room.data(), mechanism->wait(room, timeout));
    }
};

core::core(backend_handle mechanism) : books_{new books{std::move(mechanism)}} {}

core::core(core&& other) noexcept
    : next_{std::exchange(other.next_, nullptr)},
      last_{std::exchange(other.last_, nullptr)},
      slots_{std::exchange(other.slots_, nullptr)},
      slot_count_{std::exchange(other.slot_count_, 0)},
      books_{std::exchange(other.books_, nullptr)} {}

core& core::operator=(core&& other) noexcept {
    std::swap(next_, other.next_);
    std::swap(last_, other.last_);
    std::swap(slots_, other.slots_);
    std::swap(slot_count_, other.slot_count_);
    std::swap(books_, other.books_);
    return *this;
}

core::~core() {
    delete books_;
}

void core::close() noexcept {
    if (books_) books_->mechanism = backend_handle{};
}

// --- who is in the bag ---------------------------------------------------------------------------

std::uint32_t core::add(native_handle descriptor, event interest, trigger mode) {
    if (descriptor < 0)
        throw std::invalid_argument(
            descriptor_text(descriptor) +
            " is none: was the socket moved from before its view was taken, or never "
            "opened?");
    require_askable(interest);
    if (mode != trigger::level && mode != trigger::oneshot && !books_->mechanism->supports(mode))
        throw std::invalid_argument(std::string{"the backend "} + books_->mechanism->name() +
                                    " has no trigger " + to_string(mode));
    if (contains(descriptor))
        throw already_registered(descriptor_text(descriptor) +
                                 " is already registered; use modify() to change it");
    if (books_->foreign()) books_->rebuild();

    const auto index = static_cast<std::uint32_t>(descriptor);
    // Asked first where nobody else would find out: a wild number must not grow the table.
    if ((interest == event::none || index >= slot_count_) && !sys::is_open(descriptor))
        throw std::system_error(sys::last_error(), "fcntl of " + descriptor_text(descriptor));
    books_->grow(index);
    slots_ = books_->slots.data();
    slot_count_ = static_cast<std::uint32_t>(books_->slots.size());

    slot& s = slots_[index];
    s.interest = static_cast<std::uint8_t>(interest.bits());
    s.mode = mode;
    if (interest) {
        try {
            books_->enroll(index);
        } catch (...) {
            s.interest = 0;
            throw;
        }
    }
    s.state |= slot::in_use;
    ++books_->size;
    return index;
}

void core::modify(std::uint32_t index, event interest) {
    require_askable(interest);
    slot& s = slots_[index];
    s.interest = static_cast<std::uint8_t>(interest.bits());
    s.state &= static_cast<std::uint8_t>(~slot::failed);
    if (s.has(slot::file)) return books_->list_file(index);
    books_->stamp(s);
    if (s.interest != s.applied || s.has(slot::spent)) books_->list(books_->changes, index);
}

void core::remove(std::uint32_t index) noexcept {
    slot& s = slots_[index];
    if (s.has(slot::file)) {
        books_->unlist(books_->files, index);
        --books_->known_files;
    } else {
        books_->unlist(books_->changes, index);
    }
    // In a child the kernel's set is still the parent's; ours is made without this key.
    if (!books_->foreign()) books_->withdraw(index);
    const std::uint32_t next = s.generation + 1;
    s = slot{};
    s.generation = next == nowhere ? 1 : next;
    --books_->size;
}

std::uint32_t core::find(native_handle descriptor) const {
    if (!contains(descriptor))
        throw not_registered(descriptor_text(descriptor) + " is not registered; use add() first");
    return static_cast<std::uint32_t>(descriptor);
}

std::uint32_t core::find(std::uint32_t index, std::uint32_t generation) const {
    const slot& s = slots_[index];
    if (!s.has(slot::in_use) || s.generation != generation)
        throw not_registered("the key of " + descriptor_text(descriptor_of(index)) +
                             " is stale: it was removed from the bag");
    return index;
}

bool core::contains(native_handle descriptor) const noexcept {
    const auto index = static_cast<std::uint32_t>(descriptor);
    return index < slot_count_ && slots_[index].has(slot::in_use);
}

std::uint32_t core::first_in_use(std::uint32_t from) const noexcept {
    while (from < slot_count_ && !slots_[from].has(slot::in_use)) ++from;
    return from;
}

std::size_t core::size() const noexcept {
    return books_->size;
}

const backend& core::mechanism() const noexcept {
    return *books_->mechanism;
}

// --- which are ready -----------------------------------------------------------------------------

/// The second look at a notice that is out of the ordinary; none if the caller must not see it.
event core::settle(const notice& seen) noexcept {
    slot& s = slots_[seen.slot];
    if (seen.generation != s.generation || !s.has(slot::in_use)) return event::none;
    const event asked = books::interest(s);
    event events = event::from_bits(seen.events);
    if (s.has(slot::failed)) {
        s.interest = 0;
        s.state &= static_cast<std::uint8_t>(~slot::failed);
        return events;
    }
    if (s.mode == trigger::oneshot && books_->native_oneshot && !s.has(slot::file)) {
        // Whatever the caller is told, the kernel has disarmed it.
        s.applied = 0;
        s.state |= slot::spent;
        if (asked) books_->list(books_->changes, seen.slot);
    }
    if (s.mode == trigger::edge && !s.has(slot::file) && (events & askable) - asked) {
        // An edge that nobody sees does not come again by itself: should it be asked for after all.
        s.applied |= slot::told_in_vain;
        books_->list(books_->changes, seen.slot);
    }
    if (!asked) return event::none;
    if (events & (event::error | event::hangup)) events |= asked & both_ways;
    events &= asked | event::error | event::hangup;
    if (!events) return event::none;

    if (s.mode == trigger::oneshot) {
        s.interest = 0;
        if (s.has(slot::file))
            books_->unlist(books_->files, seen.slot);
        else
            books_->list(books_->changes, seen.slot);
    } else if (s.mode == trigger::edge && s.has(slot::file)) {
        books_->unlist(books_->files, seen.slot);
    }
    return events;
}

/// What the caller left of the last batch: level-triggered keys come again by themselves, the others
/// only from here. True if there are any; they are a batch of their own.
bool core::keep_unreached() noexcept {
    auto* kept = books_->batch;
    for (const notice* seen = next_; seen != last_; ++seen) {
        const slot& s = slots_[seen->slot];
        if (seen->generation != s.generation) continue;
        if (s.mode == trigger::oneshot || s.mode == trigger::edge || s.has(slot::failed))
            *kept++ = *seen;
    }
    next_ = books_->batch;
    last_ = kept;
    return next_ != last_;
}

void core::select(nanoseconds timeout) {
    if (timeout <= nanoseconds::zero()) return fill(timeout, {});
    const time_point now = sys::now();
    if (timeout >= time_point::max() - now) return fill(nanoseconds{-1}, {});
    fill(timeout, now + timeout);
}

void core::select_until(time_point deadline) {
    if (deadline == time_point::max()) return fill(nanoseconds{-1}, {});
    const time_point now = sys::now();
    fill(deadline > now ? deadline - now : nanoseconds::zero(), deadline);
}

void core::fill(nanoseconds timeout, time_point deadline) {
    books& b = *books_;
    if (b.foreign()) [[unlikely]]
        b.rebuild();
    if (next_ != last_ && keep_unreached()) [[unlikely]]
        return;
    const bool limited = timeout > nanoseconds::zero();
    for (;;) {
        if (b.rebuild_due) [[unlikely]]
            b.rebuild();
        std::size_t count = 0;
        if (!b.changes.empty()) [[unlikely]]
            count = b.apply_changes();
        if (!b.files.empty()) [[unlikely]]
            count += b.report_files(b.batch + count, (batch_size - count + 1) / 2);
        next_ = b.batch;
        last_ = b.batch + count;
        if (count > 0) [[unlikely]]
            timeout = nanoseconds::zero();
        if (count < batch_size) [[likely]]
            last_ += b.wait({last_, batch_size - count}, timeout);
        if (b.woken.load(std::memory_order_relaxed) &&
            b.woken.exchange(false, std::memory_order_acq_rel)) [[unlikely]]
            return;
        if (next_ != last_ || timeout == nanoseconds::zero()) [[likely]]
            return;
        if (limited) {
            // A signal, a wake that was consumed before, an orphan: wait for the rest.
            timeout = deadline - sys::now();
            if (timeout <= nanoseconds::zero()) return;
        }
    }
}

void core::spin(nanoseconds duration) noexcept {
    books_->spin = duration;
}

void core::wake() noexcept {
    books& b = *books_;
    // In a child that has not used the bag yet, the descriptor would be the parent's.
    if (!b.woken.exchange(true, std::memory_order_seq_cst) && !b.foreign()) b.mechanism->wake();
}

}  // namespace detail
}  // namespace selectors
