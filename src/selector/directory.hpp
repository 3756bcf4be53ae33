// selector/directory.hpp - from a descriptor to its slot.
//
//     const std::uint32_t slot = places.offer(descriptor);     // may throw; changes nothing
//     ...                                                      // may throw as well
//     places.enter(descriptor, slot);                          // now it is in
//     places.find(descriptor);                                 // slot; `nowhere` for others
//     places.leave(descriptor, slot);
//
// On Unix a descriptor is a small number, the lowest that was free: it is its own slot, and there is
// nothing to look up. On Windows it is a handle: a table with open addressing finds its slot.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <selectors/detail/core.hpp>

namespace selectors::detail {

/// Whether the slot is taken the slots know: every number has one.
class numbered_directory {
  public:
    static constexpr std::uint32_t find(native_handle descriptor) noexcept {
        return static_cast<std::uint32_t>(descriptor);
    }
    static constexpr std::uint32_t offer(native_handle descriptor) noexcept { return find(descriptor); }
    static constexpr void enter(native_handle, std::uint32_t) noexcept {}
    static constexpr void leave(native_handle, std::uint32_t) noexcept {}
};

/// Open addressing with linear probing, at most half full; what leaves is closed up behind (Knuth,
/// TAOCP 3, 6.4, algorithm R), so that there are no tombstones. Slots are dense, and the last one left
/// is the next one given.
class hashed_directory {
  public:
    using handle = std::uintptr_t;

    std::uint32_t find(handle wanted) const noexcept {
        if (table_.empty()) return nowhere;
        return table_[position_of(wanted)].slot;
    }

    /// The slot that a handle which is not in here would get; makes room for it. Throws std::bad_alloc
    /// and is unchanged.
    std::uint32_t offer(handle) {
        if (2 * (size_ + 1) > table_.size()) grow();
        return vacant_.empty() ? given_ : vacant_.back();
    }

    /// Takes in a handle that is not in here, at the slot that was offered last.
    void enter(handle entering, std::uint32_t slot) noexcept {
        if (vacant_.empty())
            ++given_;
        else
            vacant_.pop_back();
        table_[position_of(entering)] = {entering, slot};
        ++size_;
    }

    /// Takes out one that is in.
    void leave(handle leaving, std::uint32_t slot) noexcept {
        vacant_.push_back(slot);  // room was made when the table grew
        --size_;
        std::size_t gap = position_of(leaving);
        table_[gap].slot = nowhere;
        for (std::size_t at = next(gap); table_[at].slot != nowhere; at = next(at)) {
            // Whoever was displaced across the gap, seen from its home, moves into it.
            const std::size_t home = home_of(table_[at].who);
            if (distance(home, at) < distance(gap, at)) continue;
            table_[gap] = std::exchange(table_[at], entry{});
            gap = at;
        }
    }

  private:
    struct entry {
        handle who = 0;
        std::uint32_t slot = nowhere;
    };

    std::size_t next(std::size_t position) const noexcept {
        return (position + 1) & (table_.size() - 1);
    }
    std::size_t distance(std::size_t from, std::size_t to) const noexcept {
        return (to - from) & (table_.size() - 1);
    }
    /// Handles are multiples of four: the product spreads them, and its upper bits are the best.
    std::size_t home_of(handle who) const noexcept {
        const std::uint64_t spread =
            std::uint64_t{who} * 0x9E37'79B9'7F4A'7C15U;  // 2^64 / golden ratio
        return static_cast<std::size_t>(spread >> (64 - std::countr_zero(table_.size())));
    }
    /// Where it is, or where it would be.
    std::size_t position_of(handle who) const noexcept {
        std::size_t at = home_of(who);
        while (table_[at].slot != nowhere && table_[at].who != who) at = next(at);
        return at;
    }

    void grow() {
        const std::size_t size = table_.empty() ? 16 : table_.size() * 2;
        vacant_.reserve(size / 2);
        std::vector<entry> larger(size);
        table_.swap(larger);
        for (const entry& each : larger)
            if (each.slot != nowhere) table_[position_of(each.who)] = each;
    }

    std::vector<entry> table_;           ///< as many as a power of two
    std::vector<std::uint32_t> vacant_;  ///< slots that were given and left
    std::uint32_t given_ = 0;            ///< slots that were ever given
    std::size_t size_ = 0;
};

#if defined(_WIN32)
using directory = hashed_directory;
#else
using directory = numbered_directory;
#endif

}  // namespace selectors::detail
