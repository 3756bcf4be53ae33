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
#include <string>
#include <string_view>
#include <vector>

#include <selectors/socket.hpp>

#include "lines.hpp"

namespace app {

class peer {
  public:
    /// `changed`: where the peer notes itself when the server should look after it.
    peer(selectors::socket socket, std::uint64_t number, std::vector<peer*>& changed);
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
    friend class peer_list;

    /// Sends from the front; what is sent is counted in sent_.
    std::size_t send_now(std::string_view bytes);
    void flush();
    /// To be removed with the next look.
    void fail();
    void note_change();

    selectors::socket socket_;
    std::vector<peer*>& changed_;
    std::uint64_t number_;
    std::uint64_t sent_ = 0;
    std::string pending_;
    std::chrono::steady_clock::time_point since_;  ///< of the last activity, or of the dismissal
    peer* before_ = nullptr;                       ///< in the server's list by that time
    peer* after_ = nullptr;
    bool noted_ = false;      ///< in changed_
    bool ended_ = false;      ///< the peer has finished sending
    bool dismissed_ = false;  ///< only its last words are still sent
    bool leaving_ = false;    ///< and it is in the server's list of those
    bool shut_ = false;       ///< and they are sent: waiting for the peer to close
    bool broken_ = false;     ///< the connection has failed
};

}  // namespace app
