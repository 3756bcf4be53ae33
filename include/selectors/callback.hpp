// selectors/callback.hpp - something to call, owned.
//
// Like std::move_only_function, which not every standard library has yet: holds any callable, moves,
// does not copy. A callable that moves without throwing lives inside if there is room: 32 bytes, unless the
// second argument says otherwise; a larger one on the heap.
//
//     selector<callback<void(socket_view)>> bag;
//     bag.add(server, event::read, [](socket_view listener) { ... });
//     for (auto [key, events] : bag.select()) key.data(key.socket());
//
// Threads: none of its own. A callback that destroys itself while it runs (by taking its key out of
// the bag) must not touch its captures afterwards, as with `delete this`.
#pragma once

#include <concepts>
#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

#include <selectors/export.hpp>

namespace selectors {

namespace detail {
/// Throws std::logic_error: an empty callback was called.
[[noreturn]] SELECTORS_API void throw_empty_callback();
}  // namespace detail

template <class Signature, std::size_t Room = 32>
class callback;

namespace detail {
template <class Type>
inline constexpr bool is_callback = false;
template <class Signature, std::size_t Room>
inline constexpr bool is_callback<callback<Signature, Room>> = true;
}  // namespace detail

template <class Result, class... Arguments, std::size_t Room>
class callback<Result(Arguments...), Room> {
  public:
    static constexpr std::size_t inline_size = Room;  ///< bytes

    /// Empty: false, and calling it throws std::logic_error.
    callback() noexcept = default;

    /// Holds `function`; a null function pointer or an empty callback with another room makes it empty.
    /// Throws what its move or copy throws, and std::bad_alloc if it is large.
    template <class Function>
        requires(!std::same_as<std::remove_cvref_t<Function>, callback> &&
                 !std::is_member_pointer_v<std::decay_t<Function>> &&
                 std::is_invocable_r_v<Result, std::decay_t<Function>&, Arguments...>)
    callback(Function&& function) {
        using target = std::decay_t<Function>;
        if constexpr (std::is_pointer_v<std::remove_cvref_t<Function>> || detail::is_callback<target>)
            if (!function) return;
        if constexpr (fits<target>)
            ::new (static_cast<void*>(storage_)) target(std::forward<Function>(function));
        else
            ::new (static_cast<void*>(storage_)) target*(new target(std::forward<Function>(function)));
        held_ = &holding<target>;
    }

    /// The moved-from callback is empty.
    callback(callback&& other) noexcept { take(other); }
    callback& operator=(callback&& other) noexcept {
        if (this != &other) {
            reset();
            take(other);
        }
        return *this;
    }
    ~callback() { reset(); }

    explicit operator bool() const noexcept { return held_->relocate != nullptr; }

    Result operator()(Arguments... arguments) {
        return held_->invoke(storage_, std::forward<Arguments>(arguments)...);
    }

  private:
    template <class Target>
    static constexpr bool fits = sizeof(Target) <= Room && alignof(Target) <= alignof(void*) &&
                                 std::is_nothrow_move_constructible_v<Target>;

    /// What can be done with what is held.
    struct operations {
        Result (*invoke)(std::byte*, Arguments...);
        /// Moves it from one storage to another, or destroys it where there is no other; null for nothing.
        void (*relocate)(std::byte*, std::byte*) noexcept;
    };

    template <class Target>
    static Target* target_in(std::byte* storage) noexcept {
        if constexpr (fits<Target>)
            return std::launder(reinterpret_cast<Target*>(storage));
        else
            return *std::launder(reinterpret_cast<Target**>(storage));
    }
    template <class Target>
    static Result invoke(std::byte* storage, Arguments... arguments) {
        return static_cast<Result>(
            (*target_in<Target>(storage))(std::forward<Arguments>(arguments)...));
    }
    template <class Target>
    static void relocate(std::byte* from, std::byte* to) noexcept {
        Target* const held = target_in<Target>(from);
        if constexpr (fits<Target>) {
            if (to) ::new (static_cast<void*>(to)) Target(std::move(*held));
            held->~Target();
        } else if (to) {
            ::new (static_cast<void*>(to)) Target*(held);
        } else {
            delete held;
        }
    }
    [[noreturn]] static Result invoke_nothing(std::byte*, Arguments...) {
        detail::throw_empty_callback();
    }

    template <class Target>
    static constexpr operations holding{&invoke<Target>, &relocate<Target>};
    static constexpr operations nothing{&invoke_nothing, nullptr};

    void take(callback& other) noexcept {
        if (!other) return;
        other.held_->relocate(other.storage_, storage_);
        held_ = std::exchange(other.held_, &nothing);
    }
    void reset() noexcept {
        if (const auto* const held = std::exchange(held_, &nothing); held->relocate)
            held->relocate(storage_, nullptr);
    }

    alignas(void*) std::byte storage_[Room];
    const operations* held_ = &nothing;
};

}  // namespace selectors
