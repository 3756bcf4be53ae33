// peers/peer.hpp - what bench/timers asks of every contestant.
//
// A contestant has N timers, made beforehand; a round arms them all, arms them all anew, pushes them all out,
// cancels them all, and arms them all once more to let them fire. Each is driven as its manual says a program in a hurry
// should; whoever has a cached clock counts from that.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace bench {

/// Which timer is next, and how long it shall take.
struct step {
    std::uint32_t timer;
    std::chrono::nanoseconds after;
};
using steps = std::vector<step>;

class peer {
  public:
    peer() = default;
    peer(const peer&) = delete;
    peer& operator=(const peer&) = delete;
    virtual ~peer() = default;

    virtual const char* name() const = 0;
    /// Brings the cached clock up to date.
    virtual void look_at_the_clock() = 0;
    virtual void arm(const steps&) = 0;
    /// What is armed already, for another time.
    virtual void arm_anew(const steps&) = 0;
    /// The same for who knows beforehand that it is a later time than before.
    virtual void push_out(const steps&) = 0;
    virtual void cancel(const steps&) = 0;
    /// Lets those fire whose time has come; returns how many that were.
    virtual std::size_t fire() = 0;
};

std::unique_ptr<peer> make_libuv(std::size_t timers);
std::unique_ptr<peer> make_libevent(std::size_t timers);
std::unique_ptr<peer> make_libev(std::size_t timers);
std::unique_ptr<peer> make_asio(std::size_t timers);

}  // namespace bench
