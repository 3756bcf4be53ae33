// server.hpp - a listener and its connections on a loop, and a service that answers them.
//
//     const auto echo = make_service("echo");
//     server s{{.listen = {"127.0.0.1:7342"}}, *echo};
//     s.run();                                   // until SIGINT or SIGTERM
//     std::puts(to_text(s.totals()).c_str());
//
// What it promises: memory is bounded, for nothing is read from a peer to which something is waiting.
// Where no descriptor or memory is left, or there are as many connections as allowed, new ones wait.
//
// Threads: one.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <string>
#include <vector>

#include <selectors/async.hpp>

#include "peer.hpp"
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

    /// Serves until SIGINT or SIGTERM; then says so, accepts who has connected already, closes the
    /// listeners and each connection as it falls quiet, and returns when none is left, when the grace is
    /// over, or at the second signal.
    void run() { loop_.run(); }

    /// For its peers: look after that one before the callback ends.
    void note_change(peer& p) { changed_.push_back(&p); }
    const server_totals& totals() const noexcept { return totals_; }

  private:
    void admit(selectors::socket socket);
    void stop();
    void forget_paths() noexcept;
    void say_that_others_wait(const char* why);

    void serve(peer& p, selectors::event events);
    void read_from(peer& p);
    void look_after_changed();
    void look_after(peer& p);
    void remove(peer& p);

    void note_activity(peer& p);
    void expect_activity(peer& p);
    void tell_of_quiet(peer& p);
    bool close_quiet(peer& p);
    void cut_off(peer& p);

    const server_options options_;
    service& service_;
    selectors::loop loop_;
    selectors::drain drain_{loop_};
    selectors::listener doors_;
    selectors::signals stops_;
    std::vector<std::string> paths_;  ///< of the Unix sockets among the doors
    std::list<peer> peers_;
    std::vector<peer*> changed_;
    bool told_of_shortage_ = false;
    server_totals totals_;
    std::array<char, 64 * 1024> buffer_;
};

/// "served 3 connections, 12 bytes in, 12 bytes out; nothing was cut off".
std::string to_text(const server_totals& totals);

}  // namespace app
