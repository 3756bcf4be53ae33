// selectors/selector.hpp - the bag.
//
// Put in the descriptors you care about, attach to each whatever you like, ask which are ready.
//
//     sel::selector<connection> bag;
//     bag.add(connection{std::move(client)}, event::read);   // removing it closes it
//     for (auto [key, events] : bag.select(500ms)) {
//         if (events & event::read) serve(key.data);
//         bag.modify(key, event::read | event::write);   // no system call before the next select
//         bag.remove(key);                               // safe here, for this key and any other
//     }
//
// What each situation means is one table (README, "Promises"), and the same on every backend.
//
// Lifetime: the bag owns the data, not the descriptor (let the data own it). A key's data stays at its
// address until the key is removed, whatever else is added. A range of ready keys lives until the next
// select. A bag that was moved from may only be destroyed or assigned to.
// Threads: one bag, one thread; `wake` alone may be called from any thread and any signal handler.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string_view>
#include <type_traits>
#include <utility>

#include <selectors/backend.hpp>
#include <selectors/detail/core.hpp>
#include <selectors/detail/data_table.hpp>
#include <selectors/event.hpp>
#include <selectors/export.hpp>
#include <selectors/key.hpp>
#include <selectors/socket.hpp>

namespace selectors {

/// Added twice. what() names the descriptor and the way out.
class SELECTORS_API already_registered : public std::invalid_argument {
  public:
    using std::invalid_argument::invalid_argument;
    ~already_registered() override;
};

/// Not in the bag, or not any more. what() names the descriptor.
class SELECTORS_API not_registered : public std::out_of_range {
  public:
    using std::out_of_range::out_of_range;
    ~not_registered() override;
};

namespace detail {

/// Data that owns its descriptor and says which it is.
template <class Data>
concept names_socket =
    requires(const Data& data) { socket_view{data.socket}; } || requires(const Data& data) {
        { data.native_handle() } -> std::same_as<native_handle>;
    } || std::derived_from<Data, socket_view>;

template <names_socket Data>
const auto& socket_in(const Data& data) noexcept {
    if constexpr (requires { socket_view{data.socket}; })
        return data.socket;
    else
        return data;
}

/// What `add` takes: anything that names a descriptor. A socket owns its own, which is then open: the
/// kernel need not be asked, and with io_uring a thousand such adds are one system call.
struct subject {
    template <class Named>
        requires std::convertible_to<const Named&, socket_view>
    constexpr subject(const Named& named) noexcept
        : what{static_cast<socket_view>(named)}, owned{std::derived_from<Named, socket>} {}
    socket_view what;
    bool owned;
};

}  // namespace detail

template <class Data = none>
class selector {
    static_assert(std::is_object_v<Data> && std::same_as<Data, std::remove_cv_t<Data>>,
                  "the data of a bag is an object that may change: no reference, not const");

  public:
    /// The most keys that one select tells of. What does not fit comes first next time.
    static constexpr std::size_t batch_size = detail::core::batch_size;

    /// On what SELECTORS_BACKEND names, or the best mechanism of this machine. Throws
    /// std::invalid_argument for an unknown name, std::system_error if the system refuses.
    selector() : core_{open_backend()} {}
    /// On the mechanism that backends() lists under this name. Throws as above.
    explicit selector(std::string_view backend_name) : core_{open_backend(backend_name)} {}
    /// On one of your own, which must not be empty.
    explicit selector(backend_handle own) : core_{std::move(own)} {}

    selector(selector&&) noexcept = default;
    selector& operator=(selector&& other) noexcept {
        selector taken{std::move(other)};  // leaves with what this bag held
        core_ = std::move(taken.core_);    // both swap
        data_ = std::move(taken.data_);
        return *this;
    }
    /// Destroys the data; closes no descriptor that the data does not own.
    ~selector() { destroy(); }

    // --- what is in the bag ------------------------------------------------------------------------

    /// Puts a descriptor in and attaches Data(attached). `interest`: of read, write and priority, or
    /// none to park it from the start. If it throws, the bag and `attached` are unchanged.
    /// Throws already_registered; std::invalid_argument for a negative descriptor, an interest that
    /// cannot be asked for, a trigger that the backend lacks; std::system_error with the call's name
    /// for a closed descriptor and whatever else the kernel refuses; what Data's constructor throws.
    template <class Attached = Data>
        requires std::constructible_from<Data, Attached>
    key<Data> add(detail::subject named, event interest, Attached&& attached,
                  trigger mode = trigger::level) {
        // In add(c.view(), read, connection{std::move(c)}) the compiler may move first and look then.
        if constexpr (detail::names_socket<std::remove_cvref_t<Attached>>)
            if (!named.what) named = detail::socket_in(attached);
        const std::uint32_t slot = core_.add(named.what.descriptor(), named.owned, interest, mode);
        try {
            core_.attach(slot, data_.construct(slot, std::forward<Attached>(attached)));
        } catch (...) {
            core_.remove(slot);
            throw;
        }
        return key_at(slot);
    }
    key<Data> add(detail::subject named, event interest, trigger mode = trigger::level)
        requires std::default_initializable<Data>
    {
        return add(named, interest, Data{}, mode);
    }
    /// The same where the data itself says which descriptor it is for: by a member `socket`, or by
    /// native_handle().
    template <class Attached>
        requires detail::names_socket<Data> && std::same_as<std::remove_cvref_t<Attached>, Data>
    key<Data> add(Attached&& attached, event interest, trigger mode = trigger::level) {
        const detail::subject named = detail::socket_in(attached);
        return add(named, interest, std::forward<Attached>(attached), mode);
    }

    /// Changes what is asked for. Recorded only: the next select tells the kernel, with at most one
    /// system call a descriptor (two for an exclusive one), and none if nothing is different by then.
    /// Should the kernel refuse, the key is reported once with event::error and parked. Arms a spent
    /// oneshot again.
    /// Throws not_registered; std::invalid_argument for an interest that cannot be asked for.
    void modify(const key<Data>& which, event interest) { core_.modify(slot_of(which), interest); }
    void modify(socket_view which, event interest) { core_.modify(slot_of(which), interest); }
    /// The same, and the data is assigned, which never costs a system call. Data that owns the
    /// descriptor closes it then: take such a key out, and add the new one.
    template <class Key, class Attached = Data>
        requires std::is_assignable_v<Data&, Attached>
    void modify(const Key& which, event interest, Attached&& attached) {
        const std::uint32_t slot = slot_of(which);
        const event before = interest_at(slot);
        core_.modify(slot, interest);
        try {
            data_at(slot) = std::forward<Attached>(attached);
        } catch (...) {
            core_.modify(slot, before);
            throw;
        }
    }

    /// Takes a descriptor out, at once: an event already fetched for it is skipped. Succeeds also if
    /// the descriptor was closed. Returns the data. Throws not_registered.
    Data remove(const key<Data>& which) { return remove_at(slot_of(which)); }
    Data remove(socket_view which) { return remove_at(slot_of(which)); }

    /// The key of a descriptor. Throws not_registered.
    key<Data> get(socket_view which) { return key_at(slot_of(which)); }
    /// What is asked for; none for a parked key and a spent oneshot. Throws not_registered.
    event interest(const key<Data>& which) const { return interest_at(slot_of(which)); }
    event interest(socket_view which) const { return interest_at(slot_of(which)); }

    bool contains(socket_view what) const noexcept { return core_.contains(what.descriptor()); }
    /// Whether the key is still good; false for a stale one, even if its number is in the bag anew.
    bool contains(const key<Data>& what) const noexcept {
        return core_.contains(what.slot_, what.generation_, what.who_);
    }
    std::size_t size() const noexcept { return core_.size(); }
    bool empty() const noexcept { return size() == 0; }

    /// Every key in the bag, by ascending descriptor; on Windows in an order that stays the same while
    /// nothing is added. Adding and removing meanwhile is safe.
    auto keys() noexcept { return key_range{this}; }

    // --- which are ready ---------------------------------------------------------------------------

    /// Waits until something is ready, or `wake` is called. A bag with nothing in it waits as well.
    /// All three throw std::system_error if the kernel refuses to wait.
    ready_range<Data> select() {
        core_.select(std::chrono::nanoseconds{-1});
        return ready_range<Data>{core_};
    }
    /// The same for at most that long, in any unit; zero and less do not wait. Never early: to the
    /// nanosecond where the kernel has them, else rounded up.
    template <class Rep, class Period>
    ready_range<Data> select(std::chrono::duration<Rep, Period> timeout) {
        core_.select(detail::wait_time(timeout));
        return ready_range<Data>{core_};
    }
    /// The same until then.
    ready_range<Data> select_until(std::chrono::steady_clock::time_point deadline) {
        core_.select_until(deadline);
        return ready_range<Data>{core_};
    }

    /// Makes the current or the next select return, perhaps with nothing. Many wakes before it does
    /// count as one. What was written before `wake` is visible after the select.
    void wake() noexcept { core_.wake(); }

    /// For callers who pay a core for latency: every waiting select first polls for that long before
    /// it sleeps. Off (zero) unless called.
    void spin(std::chrono::nanoseconds duration) noexcept { core_.spin(duration); }

    /// The mechanism under this bag: its name, what it supports.
    const selectors::backend& backend() const noexcept { return core_.mechanism(); }

    /// A descriptor that is readable while a select would find something, for whoever waits for the bag itself;
    /// invalid_handle where the mechanism has none. It stays the same, but for a child, which has its own, and for a bag
    /// in which a descriptor was closed before it was removed. What is deferred it knows with the next select. Throws
    /// std::system_error.
    native_handle descriptor() { return core_.descriptor(); }

  private:
    struct end_of_keys {};
    struct key_range {
        selector* bag;
        struct iterator {
            selector* bag;
            std::uint32_t slot;
            key<Data> operator*() const noexcept { return bag->key_at(slot); }
            iterator& operator++() noexcept {
                slot = bag->core_.first_in_use(slot + 1);
                return *this;
            }
            bool operator==(end_of_keys) const noexcept { return slot >= bag->core_.slot_count(); }
        };
        iterator begin() const noexcept { return {bag, bag->core_.first_in_use(0)}; }
        end_of_keys end() const noexcept { return {}; }
    };

    std::uint32_t slot_of(const key<Data>& which) const {
        return core_.find(which.slot_, which.generation_, which.who_);
    }
    std::uint32_t slot_of(socket_view which) const { return core_.find(which.descriptor()); }
    event interest_at(std::uint32_t slot) const noexcept {
        return event::from_bits(core_.at(slot).interest);
    }
    key<Data> key_at(std::uint32_t slot) noexcept {
        return {data_at(slot), slot, core_.at(slot).generation, core_.at(slot).who};
    }
    Data& data_at(std::uint32_t slot) noexcept { return *static_cast<Data*>(core_.at(slot).data); }
    Data remove_at(std::uint32_t slot) {
        Data* data = &data_at(slot);
        Data taken = std::move(*data);
        core_.remove(slot);
        data->~Data();
        return taken;
    }

    void destroy() noexcept {
        core_.close();
        for (auto slot = core_.first_in_use(0); slot < core_.slot_count();
             slot = core_.first_in_use(slot + 1))
            data_at(slot).~Data();
    }

    detail::core core_;
    detail::data_table<Data> data_;
};

}  // namespace selectors
