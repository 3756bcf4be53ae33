// selectors/detail/core.hpp - the compiled part of the bag: who is in it, and what is deferred.
//
// Not for use: `selector<Data>` is this plus the data. It stands in a header because the walk over the
// ready keys is inlined into the caller's loop, where every instruction is counted.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include <selectors/backend.hpp>
#include <selectors/descriptor.hpp>
#include <selectors/event.hpp>
#include <selectors/export.hpp>

namespace selectors::detail {

/// No generation and no position has this value.
inline constexpr std::uint32_t nowhere = ~std::uint32_t{0};

/// What the bag remembers of one descriptor.
struct slot {
    /// The generation while a notice may be handed on as it came; `nowhere` while it needs a second
    /// look (settle): the slot is free, its interest changed, it is a oneshot, its change failed.
    std::uint32_t stamp = nowhere;
    std::uint32_t generation = 1;      ///< of who is in it, or of who comes next
    std::uint32_t position = nowhere;  ///< in the list of changes, or in that of files
    std::uint8_t interest = 0;         ///< what the user asked for
    std::uint8_t applied = 0;          ///< what the backend was told; 0: it does not have it armed
    trigger mode = trigger::level;
    std::uint8_t state = 0;  ///< the flags below
    void* data = nullptr;    ///< the user's, where data_table keeps it
    [[no_unique_address]] occupant who;

    static constexpr std::uint8_t in_use = 1;
    static constexpr std::uint8_t file = 2;    ///< always ready, unknown to the backend
    static constexpr std::uint8_t spent = 4;   ///< a oneshot that the backend knows, but disarmed
    static constexpr std::uint8_t failed = 8;  ///< its change failed and is about to be reported
    static constexpr std::uint8_t left =
        16;  ///< the kernel was not told of the removal of who was in it

    /// In `applied`, beside events: makes it differ from every interest, so that the backend is told.
    static constexpr std::uint8_t told_in_vain = 0x80;

    bool has(std::uint8_t flag) const noexcept { return (state & flag) != 0; }
};

class SELECTORS_API core {
  public:
    static constexpr std::size_t batch_size = 1024;  ///< the most that one select tells of: 12 KB

    explicit core(backend_handle mechanism);
    core(core&& other) noexcept;
    core& operator=(core&& other) noexcept;
    ~core();

    /// The next ready slot; its events are none at the end of the batch.
    struct entry {
        void* data;
        std::uint32_t slot;
        std::uint32_t generation;
        event events;
        [[no_unique_address]] occupant who;
    };
    entry next() noexcept {
        while (next_ != last_) {
            const notice& seen = *next_++;
            const slot& s = slots_[seen.slot];
            if (s.stamp == seen.generation && !(seen.events & out_of_the_ordinary)) [[likely]] {
                if (seen.events == 0) __builtin_unreachable();  // the backend's promise
                return {s.data, seen.slot, seen.generation, event::from_bits(seen.events), s.who};
            }
            if (event events = settle(seen)) return {s.data, seen.slot, seen.generation, events, s.who};
        }
        return {};
    }
    bool exhausted() const noexcept { return next_ == last_; }

    // --- the verbs; each throws as selector.hpp says -----------------------------------------------

    /// `owned`: somebody whose business it is keeps the descriptor open.
    std::uint32_t add(native_handle descriptor, bool owned, event interest, trigger mode);
    void modify(std::uint32_t slot, event interest);
    void remove(std::uint32_t slot) noexcept;
    /// The slot of a registered descriptor; throws not_registered.
    std::uint32_t find(native_handle descriptor) const;
    /// The same for a key; throws not_registered if it is stale.
    std::uint32_t find(std::uint32_t slot, std::uint32_t generation, occupant who) const;
    bool contains(native_handle descriptor) const noexcept;
    bool contains(std::uint32_t slot, std::uint32_t generation, occupant who) const noexcept;
    /// The first slot in use at or after `from`; slot_count() if there is none.
    std::uint32_t first_in_use(std::uint32_t from) const noexcept;
    std::uint32_t slot_count() const noexcept { return slot_count_; }
    const slot& at(std::uint32_t slot) const noexcept { return slots_[slot]; }
    void attach(std::uint32_t slot, void* data) noexcept { slots_[slot].data = data; }
    std::size_t size() const noexcept;

    /// Fills the batch. A negative timeout waits for ever.
    void select(std::chrono::nanoseconds timeout);
    void select_until(std::chrono::steady_clock::time_point deadline);
    void spin(std::chrono::nanoseconds duration) noexcept;
    void wake() noexcept;
    const backend& mechanism() const noexcept;
    native_handle descriptor();
    /// Lets go of the kernel's set before the data, and with it the descriptors, is destroyed.
    void close() noexcept;

  private:
    struct books;

    static constexpr std::uint32_t out_of_the_ordinary = (event::error | event::hangup).bits();
    event settle(const notice& seen) noexcept;
    bool keep_unreached() noexcept;
    void begin_anew();
    void fill(std::chrono::nanoseconds timeout, std::chrono::steady_clock::time_point deadline);

    notice* next_ = nullptr;  ///< the batch: what the caller has not seen yet
    notice* last_ = nullptr;
    slot* slots_ = nullptr;
    std::uint32_t slot_count_ = 0;
    books* books_ = nullptr;  ///< everything that is not needed once an event
};

/// Any duration as nanoseconds, rounded up; over-long ones become "for ever" (negative), and what is
/// not above zero (or is not a number) becomes zero.
template <class Rep, class Period>
constexpr std::chrono::nanoseconds wait_time(std::chrono::duration<Rep, Period> timeout) noexcept {
    using namespace std::chrono;
    if (!(timeout > duration<Rep, Period>::zero())) return nanoseconds::zero();
    if (duration<double, std::nano>{timeout}.count() >= 9.2e18) return nanoseconds{-1};
    // In two parts: at once, a unit like 1/2^32 s would overflow within minutes.
    const auto whole = duration_cast<seconds>(timeout);
    return whole + ceil<nanoseconds>(timeout - whole);
}

}  // namespace selectors::detail
