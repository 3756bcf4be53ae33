// selectors/listener.hpp - somebody at the door: hands on each connection as it is accepted.
//
//     sel::listener door{loop, sel::listen("localhost", 7342), [&](sel::accepted peer) {
//         std::printf("%s is here\n", peer.peer.text().c_str());
//     }};
//     door.add(sel::listen("[::1]:7342"));               // several addresses, one callback
//
// Fair: a crowd at the door does not keep those inside waiting. After `accept_budget` connections of one
// address the rest of them wait for the next turn.
//
// It goes on whatever happens. A connection that was gone before it was accepted is counted
// (loop_stats::aborted), and the next one taken. Where descriptors or memory are wanting, accepting pauses
// (loop_stats::pauses), at first for `first_pause`, then twice as long until it is `longest_pause`; it
// resumes at once when this thread closes a descriptor through the library. When that lasts for
// `patience`, every attempt that fails closes the connection that has waited longest (loop_stats::sheds;
// a spare descriptor is kept for that), for to be told no is better than to hang. If an address itself
// fails (its descriptor was closed, it does not listen any more), that one is closed and `on_error` told.
//
// Exceptions: what a callback throws comes out of loop::run, and costs the connection it was called with.
// The others are handed on by the next turn.
//
// Lifetime: closing or destroying a listener, or its loop, is safe in its own callback, too, whose captures
// live until it returns. A listener may outlive its loop, and is silent then. The file of a Unix socket
// stays where it is: `listen` replaces it. Threads: the loop's.
// Sources: accept(2), "Error handling"; libev's manual, "The special problem of accept()ing when you can't".
#pragma once

#include <chrono>
#include <cstddef>
#include <source_location>
#include <system_error>
#include <utility>

#include <selectors/callback.hpp>
#include <selectors/export.hpp>
#include <selectors/socket.hpp>

namespace selectors {

class loop;
namespace detail {
class listener_node;
}

struct listener_options {
    unsigned accept_budget = 64;  ///< connections that one address hands on in a turn; at least one
    std::chrono::milliseconds first_pause{100};
    std::chrono::milliseconds longest_pause{500};
    std::chrono::milliseconds patience{30'000};  ///< nobody could be accepted for so long: shed
    bool siblings = false;  ///< others listen at the same shared port; see `finish`
};

class SELECTORS_API listener {
  public:
    using location = std::source_location;

    /// Listens nowhere, and nothing can be added to it.
    listener() noexcept = default;
    /// Listens nowhere yet.
    listener(loop& on, callback<void(accepted)> serve, listener_options options = {},
             location where = location::current());
    /// Listens at `first`; throws as `add` does.
    listener(loop& on, socket first, callback<void(accepted)> serve, listener_options options = {},
             location where = location::current());
    listener(listener&& other) noexcept : node_{std::exchange(other.node_, nullptr)} {}
    listener& operator=(listener&& other) noexcept {
        listener ended{std::move(other)};
        std::swap(node_, ended.node_);
        return *this;
    }
    ~listener() {
        if (node_) end(node_);
    }

    /// Listens there as well. Owns the socket from then on, and makes it non-blocking. Never calls
    /// back itself. Throws std::system_error if nothing can be accepted from it, and closes it;
    /// std::logic_error if the listener is of no loop, or its loop is gone.
    void add(socket door);

    /// What is told that an address failed and was closed, and why. Without it that is thrown, as a
    /// std::system_error that names the address, out of loop::run, once. Neither this nor what follows may be
    /// replaced from inside itself.
    void on_error(callback<void(std::error_code)> told);

    /// What is told that accepting pauses for want of descriptors or memory, and why: once, until somebody
    /// could be accepted again.
    void on_shortage(callback<void(std::error_code)> told);

    /// Leaves connections waiting until `resume`: the system keeps as many as the backlog says.
    void pause() noexcept;
    void resume() noexcept;
    /// Whether `pause` holds it.
    bool paused() const noexcept;

    /// Stops without losing anybody: accepts all who have connected already, hands them on, and closes.
    /// Not at once but in the coming turns, where the budget holds. Ends a pause.
    ///
    /// Whom the kernel still takes between the last look and the closing, a matter of microseconds, is
    /// reset; unless somebody else has the same socket, to whom it was handed over. With `siblings`, on
    /// Linux, nobody is: from here on the socket hears no knocking, and is closed half a second later; who
    /// knocked in vain tries again by itself, after a second, and meets a sibling. Never say so of a
    /// socket that was handed over: it would stay deaf.
    void finish() noexcept;
    /// Closes everything now. Whoever waits to be accepted is reset by that; `finish` is kinder.
    void close() noexcept;

    /// How many addresses it listens at: none once it has finished, or was closed.
    std::size_t size() const noexcept;
    /// Where it listens, in the order added; family::none if there are not so many.
    address local_address(std::size_t which = 0) const noexcept;

    /// For the library.
    detail::listener_node* node() const noexcept { return node_; }

  private:
    static void end(detail::listener_node* node) noexcept;

    detail::listener_node* node_ = nullptr;
};

}  // namespace selectors
