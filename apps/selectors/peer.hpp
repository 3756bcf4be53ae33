// peer.hpp - one connection, as its service sees it.
//
//     void arrived(peer& from, std::string_view bytes) override { from.send(bytes); }
//
// A peer takes whatever it is given to send: what the kernel does not take at once waits in memory.
// That stays bounded because the server reads nothing from a peer to which something is waiting, and
// a service that sends to others looks at pending() and dismisses those that do not read.
//
// Threads: the server's.
#pragma once

#include <chrono>
#include <cstdint>
#include <list>
#include <string>
#include <string_view>

#include <selectors/async.hpp>

#include "lines.hpp"

namespace app {

class server;

class peer {
  public:
    /// `home`: whose it is, and who looks after it when it has changed.
    peer(server& home, selectors::socket socket, std::uint64_t number);
    peer(const peer&) = delete;
    peer& operator=(const peer&) = delete;

    /// Sends, now or as soon as the peer takes it. Nothing happens once the peer is gone or dismissed.
    void send(std::string_view bytes);
    /// Lets go of what is waiting, but for the line under way; says the last words and then closes.
    void dismiss(std::string_view last_words);

    /// Bytes that wait to be sent.
    std::size_t pending() const noexcept { return pending_.size(); }
    /// The how manyeth connection of the server it is, from 1.
    std::uint64_t number() const noexcept { return number_; }

    /// For services that speak in lines.
    line_reader lines;

  private:
    friend class server;

    /// Sends from the front; what is sent is counted in sent_.
    std::size_t send_now(std::string_view bytes);
    void flush();
    /// To be removed with the next look.
    void fail();
    void note_change();

    selectors::socket socket_;
    selectors::watch watch_;
    selectors::timer quiet_;  ///< fires when there was no activity for too long
    selectors::drain::ticket in_flight_;
    server& home_;
    std::list<peer>::iterator place_;
    std::uint64_t number_;
    std::uint64_t sent_ = 0;
    std::string pending_;
    std::chrono::steady_clock::time_point active_;  ///< for the last time, or when it was dismissed
    bool noted_ = false;                            ///< the server is about to look after it
    bool ended_ = false;                            ///< the peer has finished sending
    bool dismissed_ = false;                        ///< only its last words are still sent
    bool leaving_ = false;                          ///< and the server has seen that
    bool shut_ = false;    ///< and they are sent: waiting for the peer to close
    bool broken_ = false;  ///< the connection has failed
};

}  // namespace app
