// selector/books.hpp - what the bag and its mechanism know of each other.
//
// The slots say what the user wants and what the mechanism was told; `apply` makes the second the first,
// `rebuild` does it for everybody. What a wait may bring besides readiness is made here, too: failures,
// files, orphans. What is needed less than once a wait is kept out of line, so that a wait stays short.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <chrono>
#include <vector>

#include <selectors/detail/core.hpp>

#include "selector/directory.hpp"
#include "system/system.hpp"

namespace selectors::detail {

using std::chrono::nanoseconds;
using time_point = std::chrono::steady_clock::time_point;

inline constexpr event askable = event::read | event::write | event::priority;
inline constexpr event both_ways = event::read | event::write;
/// In a notice, beside events: a change of the key failed; the kernel said nothing.
inline constexpr std::uint32_t failure = 0x8000'0000;

struct core::books {
    explicit books(backend_handle opened)
        : mechanism{std::move(opened)}, native_oneshot{mechanism->supports(trigger::oneshot)} {}

    backend_handle mechanism;
    bool native_oneshot;
    std::vector<slot> slots;
    [[no_unique_address]] directory places;  ///< of the descriptors, among the slots
    std::vector<std::uint32_t> changes;      ///< slots to look at before the next wait
    std::vector<std::uint32_t> files;        ///< always ready, and asked for
    std::size_t known_files = 0;             ///< parked ones, too
    std::size_t next_file = 0;               ///< where to begin reporting them
    std::size_t size = 0;
    nanoseconds spin{};
    std::atomic<bool> woken = false;
    std::atomic<unsigned> epoch = sys::process_epoch();
    bool orphans = false;      ///< the kernel may report what is not armed here any more
    bool rebuild_due = false;  ///< it did
    bool may_leave = mechanism->forgets_what_is_closed();  ///< who goes, for the kernel to forget
    bool any_left = false;                                 ///< since the kernel's set was made
    bool stale_told = false;  ///< a batch had a notice of one that had gone
    bool in_vain = false;     ///< a wait found nothing but such notices
    notice batch[batch_size];

    native_handle descriptor(std::uint32_t index) const noexcept { return slots[index].who.of(index); }
    static event interest(const slot& s) noexcept { return event::from_bits(s.interest); }
    static bool enrolled(const slot& s) noexcept { return s.applied != 0 || s.has(slot::spent); }

    registration registration_of(std::uint32_t index, bool trusted = false) const noexcept {
        const slot& s = slots[index];
        return {descriptor(index), index, s.generation, interest(s), s.mode, trusted};
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
    void enroll(std::uint32_t index, bool trusted = false) {
        slot& s = slots[index];
        s.state &=
            static_cast<std::uint8_t>(~slot::left);  // it has the number, and what was left there
        if (admit(registration_of(index, trusted)) == admission::always_ready) {
            files.reserve(std::bit_ceil(known_files + 1));  // each has room in the list, for good
            ++known_files;
            s.state |= slot::file;
            list_file(index);
        } else {
            s.applied = s.interest;
        }
        stamp(s);
    }

    /// What was left may be what takes up the user's share of the kernel's room.
    admission admit(const registration& wanted) {
        try {
            return mechanism->add(wanted);
        } catch (const std::system_error& refused) {
            if (!any_left || refused.code() != std::errc::no_space_on_device) throw;
        }
        for (std::uint32_t index = 0; index < slots.size(); ++index)
            if (slots[index].has(slot::left)) take_out_left(index);
        return mechanism->add(wanted);
    }

    /// Who leaves the bag is mostly closed next, and the kernel forgets him by itself. False if that is left to it.
    bool dismiss(std::uint32_t index) noexcept {
        const slot& s = slots[index];
        if (may_leave && enrolled(s) && s.mode != trigger::exclusive) {
            any_left = true;
            return false;
        }
        withdraw(index);
        return true;
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
            if (s.has(slot::spent)) return stamp(s);
            withdraw(index);
            rebuild_due |= orphans;  // it must not speak for the key should it be armed again
            return;
        }
        if (!enrolled(s)) return enroll(index);
        mechanism->modify(registration_of(index));
        s.applied = s.interest;
        s.state &= static_cast<std::uint8_t>(~slot::spent);
        stamp(s);
    }

    /// A change failed: the user is told with the next batch. What the kernel had of it may be an orphan,
    /// which must not speak for whoever has the number next.
    void fail(std::uint32_t index) noexcept {
        slot& s = slots[index];
        if (enrolled(s)) orphans = rebuild_due = true;
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
                } catch (...) {
                    fail(index);
                    unlist(changes, index);
                }
            }
            batch[failures++] = {(event::error | (interest(s) & both_ways)).bits() | failure, index,
                                 s.generation};
        }
        return failures;
    }

    /// A kernel set of our own, with everybody in it.
    [[gnu::noinline]] void rebuild() {
        rebuild_due = true;  // also if this fails
        mechanism->reopen();
        if (foreign()) epoch.store(sys::process_epoch(), std::memory_order_relaxed);
        orphans = rebuild_due = any_left = false;
        for (std::uint32_t index = 0; index < slots.size(); ++index) {
            slot& s = slots[index];
            s.state &= static_cast<std::uint8_t>(~slot::left);
            if (!s.has(slot::in_use) || s.has(slot::file)) continue;
            if (s.has(slot::failed)) list(changes, index);
            const bool armed = s.applied != 0;
            s.applied = 0;
            s.state &= static_cast<std::uint8_t>(~slot::spent);
            if (!armed || s.interest == 0) continue;
            unlist(changes, index);
            try {
                enroll(index);
            } catch (...) {
                fail(index);
            }
        }
        if (woken.load(std::memory_order_relaxed)) mechanism->wake();
    }

    /// After a fork the kernel's set is still the parent's.
    bool foreign() const noexcept {
        return epoch.load(std::memory_order_relaxed) != sys::process_epoch();
    }

    // --- waiting ---------------------------------------------------------------------------------

    /// Drops what is the mechanism's own and, where there may be some, what concerns nobody in the bag any more. That is
    /// the first notice, or was seen in the batch before.
    std::size_t sift(notice* fresh, std::size_t count) noexcept {
        if (orphans || (any_left && count > 0 &&
                        (stale_told || fresh->generation == 0 || is_stale(*fresh)))) [[unlikely]]
            count = sift_stale(fresh, count);
        return count == 1 && fresh->generation == 0 ? 0 : count;
    }

    bool is_stale(const notice& seen) const noexcept {
        if (seen.generation == 0) return false;
        const slot& s = slots[seen.slot];
        return seen.generation != s.generation || s.applied == 0;
    }

    /// Takes out of the kernel's set what was left there. What comes nevertheless is an orphan, and the set is made anew
    /// before the next wait: not now, for the batch has yet to say what is spent. That is dear: from then on the kernel is
    /// told of everybody who goes.
    [[gnu::noinline]] std::size_t sift_stale(notice* fresh, std::size_t count) noexcept {
        stale_told = false;
        auto* last = std::remove_if(fresh, fresh + count, [&](const notice& seen) {
            if (!is_stale(seen)) return false;
            if (slots[seen.slot].has(slot::left)) {
                take_out_left(seen.slot);
            } else {
                rebuild_due = true;
                may_leave = false;
            }
            return true;
        });
        in_vain = last == fresh && count > 0;
        return static_cast<std::size_t>(last - fresh);
    }
    /// The kernel may have forgotten it this moment: its descriptor is others' to close.
    void take_out_left(std::uint32_t index) noexcept {
        slots[index].state &= static_cast<std::uint8_t>(~slot::left);
        mechanism->remove(registration_of(index));
    }

    [[gnu::noinline]] std::size_t report_files(notice* room, std::size_t most) noexcept {
        // Closed in the bag, a file is silent like everything else; only we can find out.
        for (std::size_t i = files.size(); i-- > 0;)
            if (!sys::is_open(descriptor(files[i]))) unlist(files, files[i]);
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

}  // namespace selectors::detail
