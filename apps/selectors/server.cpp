#include "server.hpp"

#include <algorithm>
#include <cstdio>
#include <span>
#include <string_view>
#include <utility>

namespace sel = selectors;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

namespace app {
namespace {

/// Accepted in one go, so that a crowd at the door does not keep those inside waiting.
constexpr int accepted_at_once = 64;
/// How long accepting rests after a failure.
constexpr auto rest_time = 100ms;
/// How long a dismissed peer has to read its last words.
constexpr auto farewell_time = 2s;
/// While draining: a connection that is quiet for so long has nothing more in flight.
constexpr auto quiet_time = 200ms;
/// While draining: how often to look for those.
constexpr auto drain_tick = 50ms;

sel::selector<std::unique_ptr<peer>> make_bag(const std::string& backend) {
    if (backend.empty()) return {};
    for (const sel::backend_info& each : sel::backends())
        if (backend == each.name && !each.available)
            throw std::runtime_error("the backend " + backend + " is not here: " + each.reason +
                                     "; choose another with --backend");
    return sel::selector<std::unique_ptr<peer>>{backend};
}

/// The path of a Unix socket; empty for other addresses and for abstract names.
std::string path_of(const sel::address& where) {
    if (where.kind() != sel::family::unix_domain || where.host().starts_with('\0')) return {};
    return where.host();
}

std::string counted(std::uint64_t count, std::string_view what) {
    return std::to_string(count) + " " + std::string{what} + (count == 1 ? "" : "s");
}

}  // namespace

server::server(const server_options& options, service& answering)
    : options_{options}, service_{answering}, bag_{make_bag(options.backend)} {
    for (const std::string& each : options_.listen) {
        sel::socket& door = doors_.emplace_back(sel::listen(each));
        // Answers are sent whole, so there is nothing to wait for. Accepted sockets inherit it.
        if (sel::or_throw(door.local_address()).kind() != sel::family::unix_domain)
            door.set(sel::option::no_delay, 1);
        bag_.add(door, sel::event::read);
    }
}

server::~server() {
    for (sel::socket& door : doors_)
        if (door) close_door(door);
}

std::vector<std::string> server::addresses() const {
    std::vector<std::string> texts;
    for (const sel::socket& each : doors_) texts.push_back(sel::or_throw(each.local_address()).text());
    return texts;
}

bool server::round() {
    auto ready = bag_.select_until(next_deadline());
    now_ = steady_clock::now();
    for (auto [key, events] : ready) {
        if (key.data)
            serve(*key.data, events);
        else if (events & sel::event::error)
            rest("a listener has failed");
        else if (auto door = std::ranges::find(doors_, key.socket()); door != doors_.end())
            accept_from(*door);
    }
    if (now_ >= rest_until_) end_rest();
    if (draining_) accept_the_last();
    expire();
    look_after_changed();
    return !draining_ || ((!doors_.empty() || peers_ > 0) && now_ < drain_until_);
}

void server::drain() {
    draining_ = true;
    drain_until_ = now_ + options_.grace;
    update_doors();  // those that were parked, too
    accept_the_last();
}

void server::cut_off() {
    for (const peer_list& each : {active_, leaving_})
        for (const peer* p = each.front(); p; p = peer_list::after(*p)) {
            ++totals_.cut_off;
            totals_.bytes_sent += p->sent_;
            totals_.bytes_unsent += p->pending();
        }
}

// --- the doors -------------------------------------------------------------------------------------

void server::accept_from(sel::socket& door) {
    for (int i = 0; i < accepted_at_once; ++i) {
        if (peers_ >= options_.max_connections && !draining_) return update_doors();
        auto client = door.accept(sel::nonblocking);
        if (client) {
            if (!admit(std::move(client->socket))) return;
        } else if (client.error() == sel::errc::would_block) {
            if (!draining_) return;
            return close_door(door);  // all who had connected are in: nobody is lost by it
        } else if (client.error() != sel::errc::reset) {  // gone before it was accepted: the next
            return rest(client.error().message().c_str());
        }
    }
}

bool server::admit(sel::socket socket) {
    auto owned = std::make_unique<peer>(std::move(socket), totals_.connections + 1, changed_);
    peer& p = *owned;
    try {
        bag_.add(p.socket_, sel::event::read, std::move(owned));
    } catch (const std::system_error& refused) {
        rest(refused.what());  // the kernel has no room to watch it: `owned` closes it
        return false;
    }
    told_of_rest_ = false;
    ++totals_.connections;
    ++peers_;
    active_.push_back(p, now_);
    service_.joined(p);
    p.note_change();
    return true;
}

void server::accept_the_last() {
    if (resting()) return;
    for (sel::socket& door : doors_)
        if (door) accept_from(door);
    std::erase_if(doors_, [](const sel::socket& door) { return !door; });
}

void server::close_door(sel::socket& door) {
    // While this one still listens nobody else has put a socket of his own in the path's place.
    if (const auto where = door.local_address())
        if (const std::string path = path_of(*where); !path.empty()) std::remove(path.c_str());
    bag_.remove(door);
    door.close();
}

void server::rest(const char* why) {
    rest_until_ = now_ + rest_time;
    update_doors();
    if (std::exchange(told_of_rest_, true)) return;  // until somebody is accepted again
    std::fprintf(stderr, "selectors: new connections wait, for accepting one failed: %s\n", why);
}

void server::end_rest() {
    rest_until_ = time_point::max();
    update_doors();
}

void server::update_doors() {
    const bool full = peers_ >= options_.max_connections && !draining_;
    for (const sel::socket& door : doors_)
        if (door) bag_.modify(door, resting() || full ? sel::event::none : sel::event::read);
}

// --- the peers -------------------------------------------------------------------------------------

void server::serve(peer& p, sel::event events) {
    p.note_change();
    if (events & sel::event::error) {
        p.fail();
        return;
    }
    const std::uint64_t sent = p.sent_;
    if (events & sel::event::write) {
        if (p.pending() > 0)
            p.flush();
        else if (!draining_ && !p.ended_)
            service_.room(p);
    }
    if (events & sel::event::read) read_from(p);
    if (p.sent_ != sent && !p.dismissed_) active_.move_to_back(p, now_);
}

void server::read_from(peer& p) {
    const auto size = p.socket_.recv(std::span{buffer_}.first(service_.most_at_once()));
    if (!size) {
        p.broken_ = p.broken_ || size.error() != sel::errc::would_block;
    } else if (*size == 0) {
        p.ended_ = true;
        if (!p.dismissed_) service_.finished(p);
    } else if (!p.dismissed_) {
        totals_.bytes_received += *size;
        active_.move_to_back(p, now_);
        service_.arrived(p, {buffer_.data(), *size});
    }
}

void server::look_after_changed() {
    // To look after one may change others, as a chat tells its guests who has left.
    for (std::size_t i = 0; i < changed_.size(); ++i) look_after(*changed_[i]);
    changed_.clear();
}

/// Decides what is asked of the kernel for a peer, or that it is over.
void server::look_after(peer& p) {
    p.noted_ = false;
    const bool sending = p.pending() > 0;
    if (p.broken_ || (p.ended_ && !sending)) return remove(p);
    if (p.dismissed_ && !p.leaving_) {
        p.leaving_ = true;
        active_.remove(p);
        leaving_.push_back(p, now_);
    }
    if (p.dismissed_ && !sending && !p.shut_) {
        // Closed at once, with something of the peer's unread, it would be reset and might lose its
        // last words: so it is asked to close, and read until it does.
        p.shut_ = true;
        if (!p.socket_.shutdown(sel::shutdown_side::write)) return remove(p);
    }
    sel::event wanted = sending ? sel::event::write : sel::event::read;
    if (service_.talkative() && !draining_ && !p.dismissed_) wanted |= sel::event::write;
    bag_.modify(p.socket_, wanted);
}

void server::remove(peer& p) {
    (p.leaving_ ? leaving_ : active_).remove(p);
    totals_.bytes_sent += p.sent_;
    --peers_;
    const auto closed_at_the_end = bag_.remove(p.socket_);
    service_.left(p);
    if (resting())
        end_rest();  // there is a descriptor again
    else
        update_doors();
}

// --- deadlines -------------------------------------------------------------------------------------

void server::expire() {
    const auto due = [&](const peer* p, auto limit) {
        return p && peer_list::since(*p) + limit <= now_;
    };
    for (peer* p = leaving_.front(); due(p, farewell_time); p = peer_list::after(*p)) p->fail();
    if (options_.idle_timeout > 0ms)
        for (peer *p = active_.front(), *next; due(p, options_.idle_timeout); p = next) {
            next = peer_list::after(*p);
            if (close_quiet(*p)) ++totals_.idle_closed;
        }
    if (draining_)
        for (peer *p = active_.front(), *next; due(p, quiet_time); p = next) {
            next = peer_list::after(*p);
            if (p->pending() == 0) close_quiet(*p);
        }
}

/// False if it has spoken after all: the select may not have come to it yet, and to close what has
/// something unread would reset it.
bool server::close_quiet(peer& p) {
    if (p.pending() == 0) {
        read_from(p);
        p.note_change();
        if (p.ended_ || peer_list::since(p) == now_) return false;
    }
    p.fail();
    return true;
}

server::time_point server::next_deadline() const {
    time_point next = rest_until_;
    if (active_.front() && options_.idle_timeout > 0ms)
        next = std::min(next, peer_list::since(*active_.front()) + options_.idle_timeout);
    if (leaving_.front()) next = std::min(next, peer_list::since(*leaving_.front()) + farewell_time);
    if (draining_) next = std::min({next, now_ + drain_tick, drain_until_});
    return next;
}

std::string to_text(const server_totals& totals) {
    std::string text = "served " + counted(totals.connections, "connection") + ", " +
                       counted(totals.bytes_received, "byte") + " in, " +
                       counted(totals.bytes_sent, "byte") + " out";
    if (totals.idle_closed > 0)
        text += ", " + std::to_string(totals.idle_closed) + " closed for being idle";
    if (totals.cut_off == 0) return text + "; nothing was cut off";
    return text + "; cut off " + counted(totals.cut_off, "connection") + " with " +
           counted(totals.bytes_unsent, "byte") + " unsent";
}

}  // namespace app
