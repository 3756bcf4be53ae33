#include <algorithm>
#include <stdexcept>
#include <string>

#include <selectors/loop.hpp>

#include "loop/listener_node.hpp"
#include "system/system.hpp"

namespace selectors {
namespace detail {
namespace {

/// The socket can be accepted from no more.
bool is_fatal(std::error_code why) noexcept {
    return why == errc::bad_descriptor || why == std::errc::invalid_argument ||
           why == std::errc::not_a_socket;
}

/// Something is wanting that may be had again later: descriptors, memory, room to watch the socket; or it is
/// an error that we know nothing of, as sandboxes and debuggers make them. Who tries again at once spins.
bool is_want(std::error_code why) noexcept {
    return why && why != errc::cancelled && !is_fatal(why) && !sys::is_of_peer(why);
}

/// As long as it may take whoever had knocked before to be in: most ways through the network and back. And
/// less than the second after which the others knock again.
constexpr auto settling_time = std::chrono::milliseconds{500};

/// A descriptor to give away when there is no other.
socket open_spare(family kind) noexcept try {
    return kind == family::unix_domain ? socket::unix_datagram(nonblocking)
                                       : socket::udp(kind, nonblocking);
} catch (const std::exception&) {
    return {};
}

}  // namespace

listener_node::listener_node(loop& on, callback<void(accepted)>&& serve,
                             const listener_options& options, const std::source_location& where)
    : close_waiter{&something_closed},
      state_of{on.state()},
      tells{std::move(serve), {}, {}},
      where_{where},
      options_{options},
      settled_{on, [this] { look_once_more(); }, where},
      retry_{on, [this] { try_again(); }, where} {
    state_of.hold();
}

listener_node::~listener_node() {
    state_of.let_go();
}

void listener_node::add(socket listening) {
    listening.set_mode(nonblocking);
    const address here = or_throw(listening.local_address(), "getsockname");
    if (!spare_) spare_ = open_spare(here.kind());
    auto* const made = new door{*this, listening.descriptor(), here};
    listening.release();
    door** last = &doors_;
    while (*last) last = &(*last)->next_door;
    *last = made;
    made->go_on();
    // What is no stream at all says so in the words that accept(2) has for some broken connections, too.
    if (const auto why = made->met(); is_fatal(why) || why == std::errc::operation_not_supported) {
        made->close();
        throw std::system_error(why, "accept on " + here.text());
    }
}

void listener_node::pause(bool on) noexcept {
    paused_ = on;
    for (door* each = doors_; each; each = each->next_door) on ? each->stop() : each->go_on();
}

void listener_node::finish() noexcept {
    if (state_of.closed()) return close();
    ending_ = true;
    pause(false);
    bool deaf = false;
    if (options_.siblings)
        for (const door* each = doors_; each; each = each->next_door)
            deaf = sys::ignore_connects(each->descriptor).has_value() || deaf;
    if (deaf)
        settled_.after(settling_time);
    else
        look_once_more();
}

void listener_node::look_once_more() noexcept {
    finishing_ = true;
    for (door *each = doors_, *following; each; each = following) {
        following = each->next_door;
        each->stop();  // who waits tries once more
        each->go_on();
    }
}

void listener_node::close() noexcept {
    while (doors_) doors_->close();
}

void listener_node::end() noexcept {
    close();
    const callbacks dropped = calling_ ? callbacks{} : std::move(tells);
    let_go();
}

void listener_node::gone(door& which) noexcept {
    door** link = &doors_;
    while (*link != &which) link = &(*link)->next_door;
    *link = which.next_door;
    if (doors_) return;
    ending_ = finishing_ = starving_ = false;
    pause_ = nanoseconds::zero();
    retry_.cancel();
    settled_.cancel();
    state_of.forget(*this);
    spare_.close();
    if (auto told = std::move(closed)) told();
}

void listener_node::take(door& from) {
    struct ending {
        ~ending() { node.calling_ = false; }
        listener_node& node;
    } const ending{*this};
    calling_ = true;
    if (!from.error) return hand_on(from);
    if (sys::is_of_peer(from.error)) ++state_of.stats.aborted;
    if (is_want(from.error)) starve(from);
    if (is_fatal(from.error)) fail(from);
}

void listener_node::hand_on(door& from) {
    selectors::accepted peer{socket{std::exchange(from.accepted, invalid_handle)}, from.peer};
    ++state_of.stats.accepts;
    late += ending_;
    pause_ = nanoseconds::zero();
    state_of.call("listener", where_, [&] { tells.serve(std::move(peer)); });
}

void listener_node::fail(door& at) {
    const std::error_code why = at.error;
    at.close();
    if (!tells.failed) throw std::system_error(why, "accept on " + at.where().text());
    state_of.call("listener", where_, [&] { tells.failed(why); });
}

// --- for want of descriptors or memory -------------------------------------------------------------

/// The pause begins; or goes on, if somebody closed a descriptor and there was none all the same. Then no
/// other close ends it: two attempts a pause are enough.
void listener_node::starve(door& at) {
    starving_ = true;
    const std::error_code why = at.error;
    const time_point now = state_of.now();
    const bool first = pause_ == nanoseconds::zero();
    if (first) starving_since_ = now;
    if (!std::exchange(early_, false) || first) {
        ++state_of.stats.pauses;
        pause_ = first ? nanoseconds{options_.first_pause}
                       : std::min<nanoseconds>(2 * pause_, options_.longest_pause);
        next_attempt_ = after(now, pause_);
        if (why == errc::too_many_descriptors && now - starving_since_ >= options_.patience) {
            spare_.close();
            state_of.stats.sheds += at.shed();
            spare_ = open_spare(at.where().kind());
        }
        state_of.tell_of_close(*this);
    }
    for (door* each = doors_; each; each = each->next_door) each->stop();
    retry_.at(next_attempt_);
    if (first && tells.wanting) state_of.call("listener", where_, [&] { tells.wanting(why); });
}

/// One door finds out for all.
void listener_node::try_again() noexcept {
    starving_ = false;
    state_of.forget(*this);
    for (door *each = doors_, *following; each; each = following) {
        following = each->next_door;
        each->go_on();
        if (is_want(each->met())) return;
    }
    if (!spare_ && doors_) spare_ = open_spare(doors_->where().kind());
    pause_ = nanoseconds::zero();
}

void listener_node::something_closed(close_waiter& self) noexcept {
    auto& node = static_cast<listener_node&>(self);
    node.early_ = true;
    node.retry_.at(node.state_of.now());
}

}  // namespace detail

// --- the handle ------------------------------------------------------------------------------------

listener::listener(loop& on, callback<void(accepted)> serve, listener_options options, location where)
    : node_{new detail::listener_node{on, std::move(serve), options, where}} {}

listener::listener(loop& on, socket first, callback<void(accepted)> serve, listener_options options,
                   location where)
    : listener{on, std::move(serve), options, where} {
    add(std::move(first));
}

void listener::end(detail::listener_node* node) noexcept {
    node->end();
}

void listener::add(socket door) {
    if (!node_ || node_->state_of.closed())
        throw std::logic_error("an address was added to a listener of no loop: make it as "
                               "listener{loop, socket, callback}, and while the loop lives");
    node_->add(std::move(door));
}

void listener::on_error(callback<void(std::error_code)> told) {
    if (node_) node_->tells.failed = std::move(told);
}

void listener::on_shortage(callback<void(std::error_code)> told) {
    if (node_) node_->tells.wanting = std::move(told);
}

void listener::pause() noexcept {
    if (node_) node_->pause(true);
}

void listener::resume() noexcept {
    if (node_) node_->pause(false);
}

bool listener::paused() const noexcept {
    return node_ && node_->paused();
}

void listener::finish() noexcept {
    if (node_) node_->finish();
}

void listener::close() noexcept {
    if (node_) node_->close();
}

std::size_t listener::size() const noexcept {
    std::size_t count = 0;
    for (auto* each = node_ ? node_->first() : nullptr; each; each = each->next_door) ++count;
    return count;
}

address listener::local_address(std::size_t which) const noexcept {
    const detail::door* at = node_ ? node_->first() : nullptr;
    for (; at && which > 0; --which) at = at->next_door;
    return at ? at->where() : address{};
}

}  // namespace selectors
