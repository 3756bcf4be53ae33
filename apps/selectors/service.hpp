// service.hpp - what a server does with its connections.
//
// One object serves all connections. The server owns them: a service keeps a peer& from joined() to
// left() and not longer. To answer is peer::send; nothing here waits, reads or closes.
//
//     class echo final : public service {
//         void arrived(peer& from, std::string_view bytes) override { from.send(bytes); }
//     };
//
// Threads: the server's.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "peer.hpp"

namespace app {

class service {
  public:
    service() = default;
    service(const service&) = delete;
    service& operator=(const service&) = delete;
    virtual ~service() = default;

    virtual void joined(peer&) {}
    /// At most most_at_once() bytes. Nothing arrives from a peer to which something is waiting.
    virtual void arrived(peer& from, std::string_view bytes) = 0;
    /// The peer has finished sending, and is closed once everything waiting for it is sent.
    virtual void finished(peer&) {}
    virtual void left(peer&) {}

    /// Whether it speaks without being asked: room() is then called whenever a peer takes more.
    virtual bool talkative() const noexcept { return false; }
    virtual void room(peer&) {}

    /// Bounds what one answer may come to; less for a service that answers with more than it got.
    virtual std::size_t most_at_once() const noexcept { return 64 * 1024; }
};

/// "echo, chat, factorial, discard, chargen".
std::string service_names();

/// The named service; null if there is none of that name.
std::unique_ptr<service> make_service(std::string_view name);

}  // namespace app
