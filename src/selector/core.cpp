#include <string>

#include <selectors/selector.hpp>

#include "selector/books.hpp"
#include "system/system.hpp"

namespace selectors {

already_registered::~already_registered() = default;
not_registered::~not_registered() = default;

namespace detail {
namespace {

std::string descriptor_text(native_handle descriptor) {
    return "descriptor " + std::to_string(static_cast<std::intptr_t>(descriptor));
}

void require_askable(event interest, trigger mode) {
    if (mode == trigger::exclusive && interest & event::priority)
        throw std::invalid_argument("an exclusive key cannot ask for priority: epoll(7) has it so");
    if (interest - askable)
        throw std::invalid_argument("the interest " + to_string(interest) +
                                    " cannot be asked for: name read, write and priority; "
                                    "error and hangup are always reported");
}

}  // namespace

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

std::uint32_t core::add(native_handle descriptor, bool owned, event interest, trigger mode) {
    if (!can_be_open(descriptor))
        throw std::invalid_argument(
            descriptor_text(descriptor) +
            " is none: was the socket moved from before its view was taken, or never "
            "opened?");
    require_askable(interest, mode);
    if (mode != trigger::level && mode != trigger::oneshot && !books_->mechanism->supports(mode))
        throw std::invalid_argument(std::string{"the backend "} + books_->mechanism->name() +
                                    " has no trigger " + to_string(mode));
    if (contains(descriptor))
        throw already_registered(descriptor_text(descriptor) +
                                 " is already registered; use modify() to change it");
    if (books_->foreign()) begin_anew();

    const std::uint32_t index = books_->places.offer(descriptor);
    // Asked first where nobody else would find out: a wild number must not grow the table.
    if (!owned && (interest == event::none || index >= slot_count_) && !sys::is_open(descriptor))
        throw std::system_error(sys::last_error(),
                                std::string{sys::status_call} + " of " + descriptor_text(descriptor));
    books_->grow(index);
    slots_ = books_->slots.data();
    slot_count_ = static_cast<std::uint32_t>(books_->slots.size());

    slot& s = slots_[index];
    s.who = occupant{descriptor};
    s.interest = static_cast<std::uint8_t>(interest.bits());
    s.mode = mode;
    if (interest) {
        try {
            books_->enroll(index, owned);
        } catch (...) {
            s.interest = 0;
            throw;
        }
    }
    s.state |= slot::in_use;
    books_->places.enter(descriptor, index);
    ++books_->size;
    return index;
}

void core::modify(std::uint32_t index, event interest) {
    slot& s = slots_[index];
    require_askable(interest, s.mode);
    const bool file = s.has(slot::file);
    if (file && s.position != nowhere && interest == books::interest(s)) return;
    s.interest = static_cast<std::uint8_t>(interest.bits());
    s.state &= static_cast<std::uint8_t>(~(slot::failed | slot::file));
    if (file) {  // the next select looks what it is now
        books_->unlist(books_->files, index);
        --books_->known_files;
    }
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
    const bool was_left = s.has(slot::left);
    const bool left = !books_->foreign() && (!books_->dismiss(index) || was_left);
    books_->places.leave(books_->descriptor(index), index);
    const std::uint32_t next = s.generation + 1;
    s = slot{};
    if (left) s.state = slot::left;
    s.generation = next == nowhere ? 1 : next;
    --books_->size;
}

std::uint32_t core::find(native_handle descriptor) const {
    if (!contains(descriptor))
        throw not_registered(descriptor_text(descriptor) + " is not registered; use add() first");
    return books_->places.find(descriptor);
}

std::uint32_t core::find(std::uint32_t index, std::uint32_t generation, occupant who) const {
    if (!contains(index, generation, who))
        throw not_registered("the key of " + descriptor_text(who.of(index)) +
                             " is stale: it was removed from the bag");
    return index;
}

bool core::contains(native_handle descriptor) const noexcept {
    const std::uint32_t index = books_->places.find(descriptor);
    return index < slot_count_ && slots_[index].has(slot::in_use);
}

bool core::contains(std::uint32_t index, std::uint32_t generation, occupant who) const noexcept {
    return index < slot_count_ && slots_[index].has(slot::in_use) &&
           slots_[index].generation == generation && slots_[index].who == who;
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

native_handle core::descriptor() {
    if (books_->any_left || books_->rebuild_due || books_->foreign()) begin_anew();
    books_->may_leave = false;
    return books_->mechanism->descriptor();
}

// --- which are ready -----------------------------------------------------------------------------

/// The second look at a notice that is out of the ordinary; none if the caller must not see it.
event core::settle(const notice& seen) noexcept {
    slot& s = slots_[seen.slot];
    if (seen.generation != s.generation || !s.has(slot::in_use)) {
        books_->stale_told |= seen.generation != 0;
        return event::none;
    }
    const event asked = books::interest(s);
    event events = event::from_bits(seen.events);
    if (seen.events & failure) {
        if (!s.has(slot::failed)) return event::none;  // taken back meanwhile
        s.interest = 0;
        s.state &= static_cast<std::uint8_t>(~slot::failed);
        return event::from_bits(seen.events & ~failure);
    }
    if (seen.events & notice::refused) {
        s.applied = 0;
        s.state &= static_cast<std::uint8_t>(~slot::spent);
        if (s.position != nowhere)
            return event::none;  // changed meanwhile: the next select tries again
        s.interest = 0;
        s.stamp = nowhere;
        return event::error | (asked & both_ways);
    }
    if (s.mode == trigger::oneshot && books_->native_oneshot && s.applied != 0) {
        // Whatever the caller is told, the kernel has disarmed it.
        s.applied = 0;
        s.state |= slot::spent;
        if (asked) books_->list(books_->changes, seen.slot);
    }
    if (s.mode == trigger::edge && s.applied != 0 && (!asked || (events & askable) - asked)) {
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
        const bool comes_again = s.mode != trigger::oneshot && s.mode != trigger::edge &&
                                 !s.has(slot::failed) && !(seen->events & notice::refused);
        if (comes_again) continue;
        const event shown = books::interest(s) | event::error | event::hangup;
        if (s.interest == 0 || !(event::from_bits(seen->events) & shown))
            settle(*seen);  // hidden: only what the kernel did is noted
        else
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

/// In a child: a kernel set of our own, which reports anew whatever the batch still held.
void core::begin_anew() {
    books_->rebuild();
    next_ = last_;
}

void core::fill(nanoseconds timeout, time_point deadline) {
    books& b = *books_;
    if (b.foreign()) [[unlikely]]
        begin_anew();
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
        if (next_ != last_) [[likely]]
            return;
        // Who only polls is told of what there was no room for beside those of nobody.
        if (timeout == nanoseconds::zero() && !std::exchange(b.in_vain, false)) return;
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
