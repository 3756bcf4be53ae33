// selectors/event.hpp - what a descriptor can be ready for, and how often it is told.
//
// An `event` is a set. You ask for `read`, `write` and `priority`, in any combination; you are told
// those, and `error` and `hangup`, which nobody needs to ask for.
//
//     bag.add(client, event::read | event::write);
//     for (auto [key, events] : bag.select()) {
//         if (events & event::read) ...
//         if (events & event::hangup) ...          // read and write, if asked for, stand beside it
//     }
//
// Threads: plain values. The bits are those of poll(2), so that most mechanisms need no translation.
#pragma once

#include <cstdint>
#include <string>

#include <selectors/export.hpp>

namespace selectors {

/// A set of events; `event::none` is the empty set.
class event {
  public:
    /// Nothing. A key with this interest is parked: it stays in the bag and reports nothing at all.
    static const event none;
    /// recv or accept will not block: data, a connection, the end of the stream, or an error.
    static const event read;
    /// Priority data: TCP out-of-band, a GPIO edge, a pseudo-terminal's status. Independent of read.
    static const event priority;
    /// send will not block, or a connect has ended, one way or the other.
    static const event write;
    /// Reported only: the descriptor has an error pending, or a change of it failed.
    static const event error;
    /// Reported only: both directions are shut down, or the other end of a pipe is gone.
    static const event hangup;

    constexpr event() noexcept = default;

    /// From bits as poll(2) numbers them. Bits that are no event are kept; mask them first.
    static constexpr event from_bits(std::uint32_t bits) noexcept { return event{bits}; }
    constexpr std::uint32_t bits() const noexcept { return bits_; }

    constexpr explicit operator bool() const noexcept { return bits_ != 0; }
    friend constexpr bool operator==(event, event) noexcept = default;
    friend constexpr event operator|(event a, event b) noexcept { return event{a.bits_ | b.bits_}; }
    friend constexpr event operator&(event a, event b) noexcept { return event{a.bits_ & b.bits_}; }
    /// a without what is in b.
    friend constexpr event operator-(event a, event b) noexcept { return event{a.bits_ & ~b.bits_}; }
    constexpr event& operator|=(event other) noexcept { return *this = *this | other; }
    constexpr event& operator&=(event other) noexcept { return *this = *this & other; }
    constexpr event& operator-=(event other) noexcept { return *this = *this - other; }

  private:
    constexpr explicit event(std::uint32_t bits) noexcept : bits_{bits} {}
    std::uint32_t bits_ = 0;
};

inline constexpr event event::none{};
inline constexpr event event::read{0x01};
inline constexpr event event::priority{0x02};
inline constexpr event event::write{0x04};
inline constexpr event event::error{0x08};
inline constexpr event event::hangup{0x10};

/// "read|hangup", "none": for messages and logs. Bits that are no event are printed as a number.
SELECTORS_API std::string to_string(event events);

/// How often a ready descriptor is reported.
enum class trigger : std::uint8_t {
    level,      ///< as long as it is ready; forgives everything
    oneshot,    ///< once, then the key is parked until `modify` asks again; on every backend
    edge,       ///< when it becomes ready, perhaps once more after a fork or a misuse that made the bag
                ///< begin anew; read and write until "would block" or miss the next one
    exclusive,  ///< level, and of several bags that hold the descriptor not all are woken
};

/// "level", "oneshot", "edge", "exclusive".
SELECTORS_API const char* to_string(trigger mode) noexcept;

}  // namespace selectors
