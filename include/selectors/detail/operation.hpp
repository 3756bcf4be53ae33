// selectors/detail/operation.hpp - what a driver carries out: one recv, send, accept, connect or wait.
//
// Not for use: streams, watches and listeners are made of these. An operation belongs to whoever waits
// for it (a coroutine's frame, a watch) and must stay where it is from `submit` until it has completed,
// which happens exactly once. What it needs stands in it, and what came of it, too: nothing is allocated.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>

#include <selectors/address.hpp>
#include <selectors/buffer.hpp>
#include <selectors/descriptor.hpp>
#include <selectors/event.hpp>

namespace selectors::detail {

enum class operation_kind : std::uint8_t { recv, send, accept, connect, ready };

/// Where an operation is. Its owner reads it; only a driver writes it.
enum class operation_state : std::uint8_t {
    idle,       ///< never submitted, done inline, or its completion was told
    waiting,    ///< with the driver
    completed,  ///< in the driver's queue, about to be told
};

struct operation {
    using completion = void (*)(operation&);

    operation(operation_kind kind, native_handle on, completion told) noexcept
        : complete{told}, descriptor{on}, what{kind} {}
    operation(const operation&) = delete;
    operation& operator=(const operation&) = delete;

    completion complete;        ///< the loop calls it, in a turn; never from inside `submit`
    operation* next = nullptr;  ///< in the queue of the completed
    std::error_code error;      ///< why it failed; false for a success
    native_handle descriptor;
    operation_kind what;
    operation_state state = operation_state::idle;
};

/// Receives what there is into several buffers.
struct recv_operation : operation {
    recv_operation(native_handle on, completion told) noexcept
        : operation{operation_kind::recv, on, told} {}
    std::span<const mutable_buffer> rooms;  ///< the array, too, must live until the completion
    std::size_t count = 0;                  ///< bytes received; 0 is the end of the stream
    bool of_stream = false;                 ///< less than there is room for means: no more for now
};

/// Sends what the system takes of several buffers.
struct send_operation : operation {
    send_operation(native_handle on, completion told) noexcept
        : operation{operation_kind::send, on, told} {}
    std::span<const const_buffer> parts;  ///< the array, too, must live until the completion
    std::size_t count = 0;                ///< bytes taken
};

/// Accepts one connection, non-blocking.
struct accept_operation : operation {
    accept_operation(native_handle on, completion told) noexcept
        : operation{operation_kind::accept, on, told} {}
    native_handle accepted = invalid_handle;  ///< the owner's, to close
    address peer;
};

/// Connects a non-blocking socket. A connection that met itself is refused.
struct connect_operation : operation {
    connect_operation(native_handle on, completion told) noexcept
        : operation{operation_kind::connect, on, told} {}
    address peer;
};

/// Stands until it is cancelled: completes with every wait that finds the descriptor ready, and again
/// only once that was told. Submitted while it stands, it has another interest from then on.
struct ready_operation : operation {
    ready_operation(native_handle on, completion told) noexcept
        : operation{operation_kind::ready, on, told} {}

    /// `interest`: of read, write and priority; none: nothing is told.
    void ask_for(event interest) noexcept {
        audible = interest ? interest | event::error | event::hangup : event::none;
    }
    event interest() const noexcept { return audible - (event::error | event::hangup); }

    event audible;  ///< what may be found
    event events;   ///< what was found, while it stands; the completion takes it away
    bool standing = false;

    // The driver's: its chain of those that stand for the same descriptor.
    ready_operation* next_sibling = nullptr;
    ready_operation* previous_sibling = nullptr;
};

}  // namespace selectors::detail
