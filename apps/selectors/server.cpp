#include "server.hpp"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <span>
#include <string_view>
#include <utility>

#include "duration.hpp"

namespace sel = selectors;
using namespace std::chrono_literals;

namespace app {
namespace {

/// How long a dismissed peer has to read its last words.
constexpr auto farewell_time = 2s;
/// While draining: a connection that is quiet for so long has nothing more in flight.
constexpr auto quiet_time = 200ms;

sel::backend_handle mechanism(const std::string& backend) {
    if (backend.empty()) return sel::open_backend();
    for (const sel::backend_info& each : sel::backends())
        if (backend == each.name && !each.available)
            throw std::runtime_error("the backend " + backend + " is not here: " + each.reason +
                                     "; choose another with --backend");
    return sel::open_backend(backend);
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
    : options_{options},
      service_{answering},
      loop_{mechanism(options.backend)},
      doors_{loop_, [this](sel::accepted client) { admit(std::move(client.socket)); }},
      stops_{loop_, {SIGINT, SIGTERM}, [this](int) { stop(); }} {
    doors_.on_shortage([this](std::error_code why) { say_that_others_wait(why.message().c_str()); });
    for (const std::string& each : options_.listen) {
        sel::socket door = sel::listen(each);
        const sel::address where = sel::or_throw(door.local_address());
        // Answers are sent whole, so there is nothing to wait for. Accepted sockets inherit it.
        if (where.kind() != sel::family::unix_domain) door.set(sel::option::no_delay, 1);
        if (std::string path = path_of(where); !path.empty()) paths_.push_back(std::move(path));
        doors_.add(std::move(door));
    }
}

server::~server() {
    forget_paths();
}

std::vector<std::string> server::addresses() const {
    std::vector<std::string> texts;
    for (std::size_t i = 0; i < doors_.size(); ++i) texts.push_back(doors_.local_address(i).text());
    return texts;
}

// --- coming and going ------------------------------------------------------------------------------

void server::admit(sel::socket socket) {
    peer& p = peers_.emplace_back(*this, std::move(socket), totals_.connections + 1);
    p.place_ = std::prev(peers_.end());
    try {
        p.watch_ = loop_.watch(p.socket_, sel::event::read, [this, &p](sel::event events) {
            serve(p, events);
            look_after_changed();
        });
    } catch (const std::system_error& refused) {  // the kernel has no room to watch it
        say_that_others_wait(refused.what());
        peers_.pop_back();
        return;
    }
    told_of_shortage_ = false;
    ++totals_.connections;
    p.quiet_ = sel::timer{loop_, [this, &p] {
                              tell_of_quiet(p);
                              look_after_changed();
                          }};
    p.in_flight_ = drain_.enter([this, &p](sel::drain_call how) {
        how == sel::drain_call::finish ? expect_activity(p) : cut_off(p);
        look_after_changed();
    });
    note_activity(p);
    service_.joined(p);
    p.note_change();
    look_after_changed();
    if (peers_.size() >= options_.max_connections && !drain_.begun()) doors_.pause();
}

void server::stop() {
    if (drain_.begun()) return drain_.cut_off();
    std::printf("stopping: what is in flight has %s; a second signal ends it\n",
                to_text(options_.grace).c_str());
    std::fflush(stdout);
    forget_paths();
    drain_.begin(doors_, options_.grace, [this](const sel::drain_result&) { loop_.stop(); });
}

/// While this one still listens nobody else has put a socket of his own in a path's place.
void server::forget_paths() noexcept {
    for (const std::string& each : std::exchange(paths_, {})) std::remove(each.c_str());
}

void server::say_that_others_wait(const char* why) {
    if (std::exchange(told_of_shortage_, true)) return;  // until somebody is accepted again
    std::fprintf(stderr, "selectors: new connections wait, for accepting one failed: %s\n", why);
}

void server::remove(peer& p) {
    totals_.bytes_sent += p.sent_;
    if (p.noted_) std::ranges::replace(changed_, &p, static_cast<peer*>(nullptr));
    std::list<peer> closed_at_the_end;
    closed_at_the_end.splice(closed_at_the_end.end(), peers_, p.place_);
    p.watch_ = {};
    service_.left(p);
    if (!drain_.begun()) doors_.resume();
}

void server::cut_off(peer& p) {
    ++totals_.cut_off;
    totals_.bytes_unsent += p.pending();
    remove(p);
}

// --- serving ---------------------------------------------------------------------------------------

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
        else if (!drain_.begun() && !p.ended_)
            service_.room(p);
    }
    if (events & sel::event::read) read_from(p);
    if (p.sent_ != sent) note_activity(p);
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
        note_activity(p);
        service_.arrived(p, {buffer_.data(), *size});
    }
}

/// At the end of every callback.
void server::look_after_changed() {
    // To look after one may change others, as a chat tells its guests who has left.
    for (std::size_t i = 0; i < changed_.size(); ++i)
        if (changed_[i]) look_after(*changed_[i]);
    changed_.clear();
}

/// Decides what is asked of the kernel for a peer, or that it is over.
void server::look_after(peer& p) {
    p.noted_ = false;
    const bool sending = p.pending() > 0;
    if (p.broken_ || (p.ended_ && !sending)) return remove(p);
    if (p.dismissed_ && !std::exchange(p.leaving_, true)) {
        p.active_ = loop_.now();
        expect_activity(p);
    }
    if (p.dismissed_ && !sending && !p.shut_) {
        // Closed at once, with something of the peer's unread, it would be reset and might lose its
        // last words: so it is asked to close, and read until it does.
        p.shut_ = true;
        if (!p.socket_.shutdown(sel::shutdown_side::write)) return remove(p);
    }
    sel::event wanted = sending ? sel::event::write : sel::event::read;
    if (service_.talkative() && !drain_.begun() && !p.dismissed_) wanted |= sel::event::write;
    p.watch_.modify(wanted);
}

// --- deadlines -------------------------------------------------------------------------------------

void server::note_activity(peer& p) {
    if (p.dismissed_) return;
    p.active_ = loop_.now();
    expect_activity(p);
}

void server::expect_activity(peer& p) {
    const std::chrono::milliseconds limit = p.leaving_       ? farewell_time
                                            : drain_.begun() ? quiet_time
                                                             : options_.idle_timeout;
    if (limit > 0ms) p.quiet_.at(p.active_ + limit);
    if (drain_.begun()) p.note_change();  // who spoke unasked falls silent
}

void server::tell_of_quiet(peer& p) {
    if (p.leaving_)
        p.fail();
    else if (!drain_.begun())
        totals_.idle_closed += close_quiet(p);
    else if (p.pending() == 0)
        close_quiet(p);
}

/// False if it has spoken after all: the loop may not have come to it yet, and to close what has something
/// unread would reset it.
bool server::close_quiet(peer& p) {
    if (p.pending() == 0) {
        read_from(p);
        p.note_change();
        if (p.ended_ || p.active_ == loop_.now()) return false;
    }
    p.fail();
    return true;
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
