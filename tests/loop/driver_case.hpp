// loop/driver_case.hpp - a driver under test: its turns, and operations that count how often they were told.
#pragma once

#include <string>

#include "conformance/conformance.hpp"
#include "loop/readiness.hpp"

namespace selectors::testing {

using detail::accept_operation;
using detail::connect_operation;
using detail::ready_operation;
using detail::recv_operation;
using detail::send_operation;

/// Counts its completions. `Kind` is one of the five.
template <class Kind>
struct counted_operation : Kind {
    explicit counted_operation(socket_view on) : Kind{on.descriptor(), &count_it} {}
    static void count_it(detail::operation& op) { ++static_cast<counted_operation&>(op).told; }
    int told = 0;
};

struct receiving : counted_operation<recv_operation> {
    explicit receiving(socket_view on, std::size_t most = 16) : counted_operation{on} {
        buffer = mutable_buffer{memory, most};
        rooms = {&buffer, 1};
    }
    std::string text() const { return {memory, count}; }
    char memory[4096];
    mutable_buffer buffer;
};

struct sending : counted_operation<send_operation> {
    sending(socket_view on, std::string_view text) : counted_operation{on}, part{text} {
        parts = {&part, 1};
    }
    const_buffer part;
};

using accepting = counted_operation<accept_operation>;

struct connecting : counted_operation<connect_operation> {
    connecting(socket_view on, const address& to) : counted_operation{on} { peer = to; }
};

struct watching : counted_operation<ready_operation> {
    watching(socket_view on, event wanted) : counted_operation{on} { ask_for(wanted); }
};

/// A readiness driver, and a loop around it that does nothing but tell. It goes after the operations that a
/// test has declared behind it, and touches none.
class driven {
  public:
    explicit driven(backend_handle mechanism) : carrier{std::move(mechanism)} {}

    /// True if it is done already.
    bool submit(detail::operation& op) { return carrier.submit(op); }
    /// Tells what has completed; how many those were.
    int tell() {
        int told = 0;
        for (; !carrier.completed.empty(); ++told) {
            detail::operation& op = carrier.completed.pop();
            op.complete(op);
        }
        return told;
    }
    /// One wait, which may be for nothing, and tells.
    int turn(std::chrono::milliseconds most = 0ms) {
        carrier.wait(carrier.now() + most);
        return tell();
    }
    /// Turns until that operation has been told, or much time has gone.
    template <class Operation>
    bool told(const Operation& op, int times = 1) {
        for (const auto end = clock::now() + 10s; op.told < times && clock::now() < end;) turn(100ms);
        return op.told == times;
    }

    detail::readiness_driver carrier;
};

/// Sends until nothing more is taken; how many bytes that were.
inline std::size_t fill_up(socket_view to) {
    const std::string block(65536, 'f');
    std::size_t sent = 0;
    while (const auto got = to.send(block)) sent += *got;
    return sent;
}

/// Receives until nothing more is there.
inline std::size_t drain(socket_view from) {
    static std::array<char, 65536> room;
    std::size_t received = 0;
    while (const auto got = from.recv(room)) {
        if (*got == 0) break;
        received += *got;
    }
    return received;
}

}  // namespace selectors::testing
