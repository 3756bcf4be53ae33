// selectors/callback.hpp - something to call, owned.
//
// Like std::move_only_function, which not every standard library has yet: holds any callable, moves,
// does not copy. A callable of up to 32 bytes that moves without throwing lives inside; a larger one
// on the heap.
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

template <class Signature>
class callback;

template <class Result, class... Arguments>
class callback<Result(Arguments...)> {
  public:
    static constexpr std::size_t inline_size = 32;

    /// Empty: false, and calling it throws std::logic_error.
    callback() noexcept = default;

    /// Holds `function`; a null function pointer makes it empty. Throws what its move or copy throws, and
    /// std::bad_alloc if it is large.
    template <class Function>
        requires(!std::same_as<std::remove_cvref_t<Function>, callback> &&
                 !std::is_member_pointer_v<std::decay_t<Function>> &&
                 std::is_invocable_r_v<Result, std::decay_t<Function>&, Arguments...>)
    callback(Function&& function) {
        using target = std::decay_t<Function>;
        if constexpr (std::is_pointer_v<std::remove_cvref_t<Function>>)
            if (function == nullptr) return;
        if constexpr (fits<target>) {
            ::new (static_cast<void*>(storage_)) target(std::forward<Function>(function));
            invoke_ = [](std::byte* storage, Arguments... arguments) -> Result {
                return static_cast<Result>((*std::launder(reinterpret_cast<target*>(storage)))(
                    std::forward<Arguments>(arguments)...));
            };
            relocate_ = [](std::byte* from, std::byte* to) noexcept {
                auto* held = std::launder(reinterpret_cast<target*>(from));
                if (to) ::new (static_cast<void*>(to)) target(std::move(*held));
                held->~target();
            };
        } else {
            ::new (static_cast<void*>(storage_)) target*(new target(std::forward<Function>(function)));
            invoke_ = [](std::byte* storage, Arguments... arguments) -> Result {
                return static_cast<Result>((**std::launder(reinterpret_cast<target**>(storage)))(
                    std::forward<Arguments>(arguments)...));
            };
            relocate_ = [](std::byte* from, std::byte* to) noexcept {
                auto* held = *std::launder(reinterpret_cast<target**>(from));
                if (to)
                    ::new (static_cast<void*>(to)) target*(held);
                else
                    delete held;
            };
        }
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

    explicit operator bool() const noexcept { return relocate_ != nullptr; }

    Result operator()(Arguments... arguments) {
        return invoke_(storage_, std::forward<Arguments>(arguments)...);
    }

  private:
    template <class Target>
    static constexpr bool fits =
        sizeof(Target) <= inline_size && alignof(Target) <= alignof(std::max_align_t) &&
        std::is_nothrow_move_constructible_v<Target>;

    [[noreturn]] static Result invoke_nothing(std::byte*, Arguments...) {
        detail::throw_empty_callback();
    }

    void take(callback& other) noexcept {
        if (!other.relocate_) return;
        other.relocate_(other.storage_, storage_);
        invoke_ = std::exchange(other.invoke_, &invoke_nothing);
        relocate_ = std::exchange(other.relocate_, nullptr);
    }
    void reset() noexcept {
        invoke_ = &invoke_nothing;
        if (auto relocate = std::exchange(relocate_, nullptr)) relocate(storage_, nullptr);
    }

    alignas(std::max_align_t) std::byte storage_[inline_size];
    Result (*invoke_)(std::byte*, Arguments...) = &invoke_nothing;
    /// Moves what is held from one storage to another, or destroys it where there is no other.
    void (*relocate_)(std::byte*, std::byte*) noexcept = nullptr;
};

}  // namespace selectors
