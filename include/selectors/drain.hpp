// selectors/drain.hpp - a server goes down and loses nobody.
//
//     sel::drain drain{loop};
//     struct connection {
//         sel::drain::ticket in_flight = drain.enter([this](sel::drain_call how) {
//             how == sel::drain_call::finish ? finish_soon() : close();
//         });                                                 // destroyed: left
//     };
//     drain.begin(door, 10s, [&](const sel::drain_result& how) {
//         std::printf("%llu finished, %llu were cut off\n", how.finished, how.cut_off);
//         loop.stop();
//     });
//
// The listeners finish: whoever has connected already is accepted, and then they are closed, so that the
// next server, or a sibling at a shared port, has the address. Whoever holds a ticket is asked to finish,
// and so is who enters later. When the last one has left, or when the grace is over and those that remain
// were told that they are cut off, `done` is called. Every callback comes from a turn of the loop, never
// from inside a call here.
//
// A restart that must lose nobody either hands the listening socket over to the successor, as a duplicate
// or through systemd; or begins the successor at a shared port, and says so (listener_options::siblings).
// Else whom the kernel takes in the last microseconds is reset: see listener::finish.
//
// Costs: entering and leaving are O(1), a ticket is 80 bytes, and nothing is allocated but what its
// callback needs. Exceptions from a callback come out of loop::run, and the others are told all the same.
// Lifetime: destroying a drain, a ticket or the loop is safe in their own callbacks, too. Without its
// drain a ticket is told nothing, and `done` is not called; listeners that finish go on. Threads: the
// loop's.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <source_location>
#include <utility>

#include <selectors/callback.hpp>
#include <selectors/detail/core.hpp>
#include <selectors/export.hpp>

namespace selectors {

class listener;
class loop;
namespace detail {
class drain_state;

/// What links a ticket; not for use.
struct ticket_node {
    ticket_node* next = nullptr;
    ticket_node* previous = nullptr;
};
}  // namespace detail

/// What a ticket's holder is told.
enum class drain_call : std::uint8_t {
    finish,   ///< end what is under way, begin nothing new, and leave
    cut_off,  ///< the grace is over: leave now
};

/// How it went, counted from `begin`.
struct drain_result {
    std::uint64_t accepted = 0;  ///< connections that had been waiting, and were handed on
    std::uint64_t finished = 0;  ///< tickets that left by themselves
    std::uint64_t cut_off = 0;   ///< tickets that did not
    bool in_time = false;        ///< all had left, and every listener accepted all who waited
    std::chrono::nanoseconds took{};
};

class SELECTORS_API drain {
  public:
    using location = std::source_location;

    /// Something that is in flight as long as this lives. Moves; the callback moves along.
    class SELECTORS_API ticket : detail::ticket_node {
      public:
        ticket() noexcept = default;
        ticket(ticket&& other) noexcept;
        ticket& operator=(ticket&& other) noexcept;
        ~ticket() { leave(); }

        void leave() noexcept;
        explicit operator bool() const noexcept { return of_ != nullptr; }

      private:
        friend class detail::drain_state;
        friend class drain;
        detail::drain_state* of_ = nullptr;
        location where_;
        bool counted_ = false;  ///< as cut off
        callback<void(drain_call)> told_;
    };

    explicit drain(loop& on);
    drain(const drain&) = delete;
    drain& operator=(const drain&) = delete;
    ~drain();

    /// `told` is called once with `finish` when draining begins, or soon if it has begun; and with
    /// `cut_off` if it is here when the grace ends.
    [[nodiscard]] ticket enter(callback<void(drain_call)> told, location where = location::current());
    /// How many tickets there are.
    std::size_t inside() const noexcept;

    /// Begins; `done` is called once, at the latest when everybody was told after the grace. Throws std::logic_error if it has begun already, or somebody else drains the listener.
    template <class Rep, class Period>
    void begin(listener& door, std::chrono::duration<Rep, Period> grace,
               callback<void(const drain_result&)> done, location where = location::current()) {
        begin_all({&door}, detail::wait_time(grace), std::move(done), where);
    }
    /// Of several listeners, or none.
    template <class Rep, class Period>
    void begin(std::initializer_list<listener*> doors, std::chrono::duration<Rep, Period> grace,
               callback<void(const drain_result&)> done, location where = location::current()) {
        begin_all(doors, detail::wait_time(grace), std::move(done), where);
    }
    bool begun() const noexcept;
    /// Ends the grace now: for a second signal.
    void cut_off() noexcept;

  private:
    void begin_all(std::initializer_list<listener*> doors, std::chrono::nanoseconds grace,
                   callback<void(const drain_result&)> done, location where);

    detail::drain_state* state_;
};

}  // namespace selectors
