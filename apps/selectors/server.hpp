// server.hpp - listeners and connections in one bag, and a service that answers them.
//
//     const auto echo = make_service("echo");
//     server s{{.listen = {"127.0.0.1:7342"}}, *echo};
//     s.run([] { return stops.load(); });        // until 1: finish what is in flight; 2: at once
//     std::puts(to_text(s.totals()).c_str());
//
// What it promises: memory is bounded, for nothing is read from a peer to which something is waiting.
// Every deadline costs O(1) per activity. Where no descriptor or memory is left, or there are as many
// connections as allowed, the listeners are parked: nobody is refused, nothing spins.
//
// Threads: one; wake() alone may be called from any thread and any signal handler.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <selectors/selectors.hpp>

#include "peer.hpp"
#include "peer_list.hpp"
#include "service.hpp"

namespace app {

struct server_options {
    std::vector<std::string> listen;  ///< as selectors::resolve takes them
    std::string backend;              ///< empty: what SELECTORS_BACKEND names, or the best
    std::size_t max_connections = 10'000;
    std::chrono::milliseconds idle_timeout{0};  ///< zero: never
    std::chrono::milliseconds grace{5'000};
};

struct server_totals {
    std::uint64_t connections = 0;
    std::uint64_t bytes_received = 0;
    std::uint64_t bytes_sent = 0;
    std::uint64_t idle_closed = 0;   ///< connections that were quiet for too long
    std::uint64_t cut_off = 0;       ///< connections that the grace was too short for
    std::uint64_t bytes_unsent = 0;  ///< what was waiting for those
};

class server {
  public:
    /// Opens the listeners. `answering` must outlive the server. Throws std::system_error and
    /// std::invalid_argument, each with a sentence that names the address or the backend.
    server(const server_options& options, service& answering);
    /// Removes the Unix sockets that it listened on.
    ~server();
    server(const server&) = delete;
    server& operator=(const server&) = delete;

    /// Where it listens, ports chosen by the system included.
    std::vector<std::string> addresses() const;

    /// Serves until `stops()` is 1; then accepts who has connected already, closes the listeners and
    /// each connection as it falls quiet, and returns when none is left, when the grace is over, or
    /// when `stops()` is 2. It looks at stops() whenever something happened, or wake() was called.
    template <class Stops>
    void run(Stops stops) {
        while (round())
            if (const int count = stops(); count > 1)
                break;
            else if (count == 1 && !draining_)
                drain();
        cut_off();
    }

    void wake() noexcept { bag_.wake(); }
    const server_totals& totals() const noexcept { return totals_; }

  private:
    using time_point = std::chrono::steady_clock::time_point;

    /// One select and what follows from it; false once drained.
    bool round();
    void drain();
    void cut_off();

    void accept_from(selectors::socket& door);
    void accept_the_last();
    void close_door(selectors::socket& door);
    bool admit(selectors::socket socket);
    void rest(const char* why);
    void end_rest();
    bool resting() const noexcept { return rest_until_ != time_point::max(); }
    void update_doors();

    void serve(peer& p, selectors::event events);
    void read_from(peer& p);
    void look_after_changed();
    void look_after(peer& p);
    void remove(peer& p);

    void expire();
    bool close_quiet(peer& p);
    time_point next_deadline() const;

    const server_options options_;
    service& service_;
    std::vector<selectors::socket> doors_;
    selectors::selector<std::unique_ptr<peer>> bag_;  ///< the doors have no peer
    std::size_t peers_ = 0;
    std::vector<peer*> changed_;                 ///< to be looked after before the next select
    peer_list active_;                           ///< by last activity
    peer_list leaving_;                          ///< the dismissed ones, by dismissal
    time_point now_;                             ///< when the last select returned
    time_point rest_until_ = time_point::max();  ///< accepting rests
    time_point drain_until_ = time_point::max();
    bool draining_ = false;
    bool told_of_rest_ = false;
    server_totals totals_;
    std::array<char, 64 * 1024> buffer_;
};

/// "served 3 connections, 12 bytes in, 12 bytes out; nothing was cut off".
std::string to_text(const server_totals& totals);

}  // namespace app
