// selectors/result.hpp - one error model.
//
// What the world does (would block, reset, refused) comes back as a `result<T>`: a value or a
// std::error_code. What the program does wrong (adding a key twice) is thrown. `or_throw` turns the
// first into the second where a failure is not expected.
//
//     auto n = client.recv(buffer);                       // result<std::size_t>
//     if (!n && n.error() == errc::would_block) continue;
//     std::size_t bytes = or_throw(std::move(n), "recv"); // std::system_error: "recv: Connection reset ..."
//
// Threads: plain values.
#pragma once

#include <expected>
#include <system_error>
#include <type_traits>
#include <utility>

#include <selectors/export.hpp>

namespace selectors {

/// A value, or the reason why there is none.
template <class T>
using result = std::expected<T, std::error_code>;

/// What callers compare errors with. Each matches every platform's codes for the same thing, so
/// `error == errc::would_block` holds for EAGAIN, EWOULDBLOCK and WSAEWOULDBLOCK alike.
enum class errc {
    would_block = 1,       ///< nothing there yet, or no room: wait for readiness
    in_progress,           ///< a non-blocking connect is under way: wait for write
    refused,               ///< nobody listens there
    reset,                 ///< the peer reset the connection, or it was aborted
    broken_pipe,           ///< sent after the peer, or this side, had shut down
    timed_out,             ///< the network gave up
    address_in_use,        ///< somebody else is bound there
    permission_denied,     ///< EACCES or EPERM
    too_many_descriptors,  ///< this process or this machine has none left (EMFILE, ENFILE)
    out_of_memory,         ///< no kernel memory or buffers (ENOMEM, ENOBUFS)
    bad_descriptor,        ///< closed, or never opened
    cancelled,             ///< given up because somebody asked for it
    busy,                  ///< somebody else is reading, or writing, there already
};

SELECTORS_API const std::error_category& errc_category() noexcept;

inline std::error_condition make_error_condition(errc code) noexcept {
    return {static_cast<int>(code), errc_category()};
}

/// The value; or throws std::system_error with the error's code, its text preceded by `doing`.
template <class T>
T or_throw(result<T>&& value, const char* doing = nullptr) {
    if (!value) {
        if (doing) throw std::system_error(value.error(), doing);
        throw std::system_error(value.error());
    }
    if constexpr (!std::is_void_v<T>) return *std::move(value);
}

}  // namespace selectors

template <>
struct std::is_error_condition_enum<selectors::errc> : std::true_type {};
