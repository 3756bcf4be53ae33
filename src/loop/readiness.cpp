#include "loop/readiness.hpp"

#include <new>
#include <numeric>
#include <optional>

#include "system/system.hpp"

namespace selectors::detail {
namespace {

constexpr event askable = event::read | event::write | event::priority;

bool would_block(std::error_code error) noexcept {
    return error == sys::error_of(std::errc::operation_would_block);
}

template <class Buffers>
std::size_t size_of(const Buffers& buffers) noexcept {
    return std::transform_reduce(buffers.begin(), buffers.end(), std::size_t{0}, std::plus{},
                                 [](const auto& each) { return each.size(); });
}

/// True if it is done, one way or the other.
bool try_recv(recv_operation& op) noexcept {
    const auto got = op.rooms.size() == 1
                         ? sys::recv(op.descriptor, op.rooms[0].data(), op.rooms[0].size())
                         : sys::recv(op.descriptor, op.rooms);
    op.count = got.value_or(0);
    op.error = got ? std::error_code{} : got.error();
    return !would_block(op.error);
}

bool try_send(send_operation& op) noexcept {
    const auto sent = op.parts.size() == 1
                          ? sys::send(op.descriptor, op.parts[0].data(), op.parts[0].size())
                          : sys::send(op.descriptor, op.parts);
    op.count = sent.value_or(0);
    op.error = sent ? std::error_code{} : sent.error();
    return !would_block(op.error);
}

bool try_accept(accept_operation& op) noexcept {
    auto got = socket_view{op.descriptor}.accept(nonblocking);
    op.error = got ? std::error_code{} : got.error();
    if (got) {
        op.accepted = got->socket.release();
        op.peer = got->peer;
    }
    return !would_block(op.error);
}

/// The second attempt asks how the first has ended.
bool try_connect(connect_operation& op) noexcept {
    const socket_view socket{op.descriptor};
    const bool begun = op.state == operation_state::waiting;
    auto outcome = begun ? socket.finish_connect() : socket.connect(op.peer);
    if (outcome && !begun) outcome = socket.finish_connect();  // it may have met itself
    op.error = outcome ? std::error_code{} : outcome.error();
    return op.error != errc::in_progress && !(begun && op.error == std::errc::not_connected);
}

bool attempt(operation& op) noexcept {
    switch (op.what) {
    case operation_kind::recv: return try_recv(static_cast<recv_operation&>(op));
    case operation_kind::send: return try_send(static_cast<send_operation&>(op));
    case operation_kind::accept: return try_accept(static_cast<accept_operation&>(op));
    case operation_kind::connect: return try_connect(static_cast<connect_operation&>(op));
    case operation_kind::ready: break;  // is not tried: a wait finds out
    }
    return false;
}

/// Whether a success says that the next attempt would block. A level-triggered bag says so if not.
bool took_all(const operation& op) noexcept {
    if (op.error) return false;
    if (op.what == operation_kind::recv) {
        const auto& recv = static_cast<const recv_operation&>(op);
        return recv.of_stream && recv.count < size_of(recv.rooms);
    }
    if (op.what == operation_kind::send) {
        const auto& send = static_cast<const send_operation&>(op);
        return send.count < size_of(send.parts);
    }
    return false;
}

/// What stopped the bag from watching a descriptor, as the operation's own error.
std::error_code current_error() noexcept {
    try {
        throw;
    } catch (const std::system_error& refused) {
        return refused.code();
    } catch (const std::bad_alloc&) {
        return sys::error_of(std::errc::not_enough_memory);
    } catch (...) {
        return sys::error_of(std::errc::invalid_argument);
    }
}

}  // namespace

time_point readiness_driver::now() noexcept {
    return sys::now();
}

event readiness_driver::entry::wanted() const noexcept {
    event all;
    for (auto* each = watchers.first(); each; each = each->next_sibling) all |= each->interest();
    for (const side each : {input, output})
        if (waiting[each]) all |= direction_of[each];
    return all;
}

// --- beginning and ending ------------------------------------------------------------------------

bool readiness_driver::submit(operation& op) noexcept {
    op.error = {};
    try {
        switch (op.what) {
        case operation_kind::recv:
        case operation_kind::accept: return begin(op, input);
        case operation_kind::send:
        case operation_kind::connect: return begin(op, output);
        case operation_kind::ready: break;
        }
        auto& ready = static_cast<ready_operation&>(op);
        if (ready.standing) {
            const auto at = bag_.get(op.descriptor);
            bag_.modify(at, at.data.wanted());
        } else {
            join(op.descriptor, ready.interest()).data.watchers.push(ready);
            ready.standing = true;
        }
        return false;
    } catch (...) {
        op.error = current_error();
        return true;
    }
}

bool readiness_driver::begin(operation& op, side which) {
    const event direction = direction_of[which];
    std::optional<key<entry>> at;
    if (bag_.contains(op.descriptor)) at.emplace(bag_.get(op.descriptor));
    entry* mine = at ? &at->data : nullptr;
    if (mine && mine->waiting[which]) {
        op.error = sys::error_of(std::errc::device_or_resource_busy);
        return true;
    }
    if (!(mine && mine->exhausted[which]) && attempt(op)) {
        if (mine) mine->exhausted[which] = took_all(op);
        return true;
    }
    op.error = {};
    if (!at)
        mine = &bag_.add(op.descriptor, direction).data;
    else if (mine->watchers)
        mine = &join(op.descriptor, direction).data;
    else if (const event asked = bag_.interest(*at); !(asked & direction))
        bag_.modify(*at, asked | direction);
    mine->waiting[which] = &op;
    mine->served = true;
    op.state = operation_state::waiting;
    return false;
}

/// Whoever joins others on a descriptor may be speaking of another file, for watches may not know yet that
/// theirs was closed and its number given anew: the kernel is told afresh.
key<readiness_driver::entry> readiness_driver::join(native_handle descriptor, event interest) {
    entry others;
    if (bag_.contains(descriptor)) others = bag_.remove(descriptor);
    try {
        return bag_.add(descriptor, others.wanted() | interest, others);
    } catch (...) {
        end_all(others, current_error());
        throw;
    }
}

void readiness_driver::cancel(operation& op) noexcept {
    const std::error_code cancelled = sys::error_of(std::errc::operation_canceled);
    if (op.what == operation_kind::ready) {
        auto& ready = static_cast<ready_operation&>(op);
        if (!ready.standing) return;
        const auto at = bag_.get(op.descriptor);
        end(at.data.watchers, ready, cancelled);
        if (at.data.idle())
            bag_.remove(at);
        else
            bag_.modify(at, at.data.wanted());
    } else if (op.state == operation_state::waiting) {
        entry& at = bag_.get(op.descriptor).data;
        at.waiting[at.waiting[input] == &op ? input : output] = nullptr;
        end(op, cancelled);
    }
}

void readiness_driver::close(native_handle descriptor) noexcept {
    if (bag_.contains(descriptor)) {
        const std::error_code cancelled = sys::error_of(std::errc::operation_canceled);
        entry left = bag_.remove(descriptor);
        end_all(left, cancelled);
    }
    sys::close(descriptor);
}

void readiness_driver::cancel_all() noexcept {
    for (const auto& key : bag_.keys()) end_all(key.data, sys::error_of(std::errc::operation_canceled));
}

void readiness_driver::end(operation& op, std::error_code error) noexcept {
    op.error = error;
    if (op.state != operation_state::completed) completed.push(op);
}

void readiness_driver::end(sibling_chain& of, ready_operation& op, std::error_code error) noexcept {
    of.remove(op);
    op.standing = false;
    op.events = event::none;
    end(op, error);
}

void readiness_driver::end_all(entry& of, std::error_code error) noexcept {
    for (operation*& each : of.waiting)
        if (each) end(*std::exchange(each, nullptr), error);
    while (of.watchers) end(of.watchers, *of.watchers.first(), error);
}

// --- waiting -------------------------------------------------------------------------------------

void readiness_driver::wait(time_point deadline) {
    for (const auto& [key, events] : bag_.select_until(deadline)) {
        for (auto* each = key.data.watchers.first(); each; each = each->next_sibling) {
            const event told = events & each->audible;
            if (!told) continue;
            each->events |= told;
            if (each->state != operation_state::completed) completed.push(*each);
        }
        if (key.data.served) tell_operations(key.data, key.descriptor(), events);
    }
}

/// Whoever waits to receive or send tries again; and what nobody waits for is not asked for any longer.
[[gnu::noinline]] void readiness_driver::tell_operations(entry& at, native_handle descriptor,
                                                         event events) {
    const event ends = events & (event::error | event::hangup);
    const event wanted = at.wanted();
    // The bag parks what the kernel refuses to watch any longer, and says error once.
    const bool lost = events & event::error && !bag_.interest(descriptor);
    for (const side each : {input, output})
        if (events & (direction_of[each] | ends)) go_on(at, each, lost);
    if (!lost && (events & askable) - wanted) bag_.modify(descriptor, wanted);
}

/// The descriptor may be ready: whoever waits tries again.
void readiness_driver::go_on(entry& at, side which, bool lost) noexcept {
    at.exhausted[which] = false;
    if (!at.waiting[which]) return;
    operation& op = *at.waiting[which];
    const bool done = attempt(op);
    if (!done && !lost) return;
    at.waiting[which] = nullptr;
    at.exhausted[which] = done && took_all(op);
    end(op, done ? op.error : sys::error_of(std::errc::io_error));
}

}  // namespace selectors::detail
