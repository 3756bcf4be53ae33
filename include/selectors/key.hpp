// selectors/key.hpp - one descriptor in a bag, and the ready ones that a select returns.
//
//     for (auto [key, events] : bag.select())
//         if (events & event::read) key.socket().recv(key.data.buffer);
//
//     sel::key<connection> kept = bag.add(connection{std::move(client)}, event::read);
//
// Lifetime: a key is a name, and copies freely; it is good until its descriptor is removed. A range of
// ready keys lives until the next select of its bag. Threads: the bag's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>

#include <selectors/descriptor.hpp>
#include <selectors/detail/core.hpp>
#include <selectors/event.hpp>
#include <selectors/socket.hpp>

namespace selectors {

/// A descriptor in a bag. Copies freely and may be kept. Once its descriptor is removed the key is
/// stale: `data` dangles, and the verbs throw not_registered, even if the number is in the bag anew.
template <class Data>
class key {
  public:
    Data& data;

    key(const key&) noexcept = default;
    /// Names another entry from now on.
    key& operator=(const key& other) noexcept { return *::new (static_cast<void*>(this)) key{other}; }

    socket_view socket() const noexcept { return descriptor(); }
    native_handle descriptor() const noexcept { return who_.of(slot_); }

    /// For the bag.
    key(Data& attached, std::uint32_t slot, std::uint32_t generation, detail::occupant who) noexcept
        : data{attached}, slot_{slot}, generation_{generation}, who_{who} {}

  private:
    template <class>
    friend class selector;
    std::uint32_t slot_;
    std::uint32_t generation_;
    [[no_unique_address]] detail::occupant who_;
};

/// One entry of a select: `for (auto [key, events] : bag.select())`.
template <class Data>
struct ready {
    selectors::key<Data> key;
    event events;
};

/// The ready keys, each at most once, for one range-for: every step takes the next one out. Whether a key is still in the bag, and still
/// wants the event, is looked up when the walk reaches it. Leaving early loses nothing: what is still
/// ready comes again, and a oneshot or an edge that was not reached comes with the next select.
template <class Data>
class [[nodiscard]] ready_range {
  public:
    struct sentinel {};
    class iterator {
      public:
        using value_type = ready<Data>;
        using difference_type = std::ptrdiff_t;

        ready<Data> operator*() const noexcept {
            return {{*static_cast<Data*>(at_.data), at_.slot, at_.generation, at_.who}, at_.events};
        }
        iterator& operator++() noexcept {
            at_ = core_->next();
            return *this;
        }
        void operator++(int) noexcept { ++*this; }
        friend bool operator==(const iterator& i, sentinel) noexcept { return !i.at_.events; }

      private:
        friend class ready_range;
        explicit iterator(detail::core& core) noexcept : core_{&core}, at_{core.next()} {}
        detail::core* core_;
        detail::core::entry at_;
    };

    /// Takes the first one out; call it once.
    iterator begin() const noexcept { return iterator{*core_}; }
    sentinel end() const noexcept { return {}; }
    /// Whether nothing is left to walk. True right after a select that timed out or was woken.
    bool empty() const noexcept { return core_->exhausted(); }

    /// For the bag.
    explicit ready_range(detail::core& core) noexcept : core_{&core} {}

  private:
    detail::core* core_;
};

}  // namespace selectors
