// loop/listener_node.hpp - a listener's insides: its addresses, and what it does when descriptors are wanting.
//
// A `door` is one listening socket, and the operation that accepts from it. The driver, or the loop's queue
// of letters, may still have it when it is closed, so it lives until both have let go; and what it is a door
// of lives as long as the last of its doors.
#pragma once

#include <selectors/detail/operation.hpp>
#include <selectors/listener.hpp>
#include <selectors/timer.hpp>

#include "loop/state.hpp"

namespace selectors::detail {

class listener_node;

class door final : public accept_operation {
  public:
    /// Owns the socket.
    door(listener_node& of, native_handle listening, const address& here) noexcept;
    door(const door&) = delete;
    door& operator=(const door&) = delete;

    bool open() const noexcept { return descriptor != invalid_handle; }
    const address& where() const noexcept { return where_; }

    /// Accepts, if its listener does; calls nobody back before the next turn.
    void go_on() noexcept;
    /// Until `go_on`.
    void stop() noexcept;
    /// May be its end.
    void close() noexcept;
    /// What `go_on` met at once.
    std::error_code met() const noexcept { return in_hand_ ? error : std::error_code{}; }
    /// Takes the oldest that waits and closes it. False if nobody waits, or it cannot be had either.
    bool shed() noexcept;

    door* next_door = nullptr;

  private:
    /// What it has got and is for the next turn.
    struct note final : letter {
        explicit note(door& from) noexcept : letter{&read_note}, of{from} {}
        static void read_note(letter& self, loop_state* on);
        door& of;
        std::uint64_t turn = 0;  ///< in which it was written
        bool queued = false;
    };

    ~door();
    static void told(operation& op);
    void tell();
    void drop() noexcept;
    void destroy_if_done() noexcept;

    listener_node& of_;
    address where_;
    note later_{*this};
    bool in_hand_ = false;  ///< an attempt has ended, and nothing was made of it yet
    bool calling_ = false;
};

class listener_node final : close_waiter {
  public:
    listener_node(loop& on, callback<void(accepted)>&& serve, const listener_options& options,
                  const std::source_location& where);
    listener_node(const listener_node&) = delete;
    listener_node& operator=(const listener_node&) = delete;

    void hold() noexcept { ++holders_; }
    void let_go() noexcept {
        if (--holders_ == 0) delete this;
    }

    void add(socket listening);
    void pause(bool on) noexcept;
    bool paused() const noexcept { return paused_; }
    void finish() noexcept;
    void close() noexcept;
    /// The handle goes.
    void end() noexcept;
    const door* first() const noexcept { return doors_; }

    /// For its doors.
    bool accepting() const noexcept { return !paused_ && !starving_ && !state_of.closed(); }
    bool finishing() const noexcept { return finishing_; }
    unsigned budget() const noexcept { return options_.accept_budget; }
    void take(door& from);
    void gone(door& which) noexcept;

    loop_state& state_of;
    struct callbacks {
        callback<void(accepted)> serve;
        callback<void(std::error_code)> failed;
        callback<void(std::error_code)> wanting;
    } tells;
    /// Told once when the last address is closed.
    callback<void()> closed;
    std::uint64_t late = 0;  ///< accepted since `finish`

  private:
    ~listener_node();
    void hand_on(door& from);
    void fail(door& at);
    void look_once_more() noexcept;
    void starve(door& at);
    void try_again() noexcept;
    static void something_closed(close_waiter& self) noexcept;

    std::source_location where_;
    listener_options options_;
    door* doors_ = nullptr;
    std::size_t holders_ = 1;
    bool paused_ = false;
    bool ending_ = false;     ///< `finish` was called
    bool finishing_ = false;  ///< a door at which nobody waits is closed
    timer settled_;           ///< whoever was half in when the doors became deaf is in
    bool calling_ = false;    ///< a callback has yet to return: destroy nothing of it

    // For want of descriptors or memory.
    socket spare_;
    timer retry_;
    bool starving_ = false;
    bool early_ = false;   ///< tries before its time, because something was closed
    nanoseconds pause_{};  ///< the last one's length; zero: there was none lately
    time_point next_attempt_{};
    time_point starving_since_{};
};

}  // namespace selectors::detail
