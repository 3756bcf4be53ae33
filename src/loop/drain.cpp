#include <stdexcept>
#include <vector>

#include <selectors/drain.hpp>

#include "loop/listener_node.hpp"

namespace selectors {
namespace detail {
namespace {

/// Tickets in the order they entered: a ring through an anchor, so that leaving needs no list.
class ticket_list {
  public:
    ticket_list() noexcept { anchor_.next = anchor_.previous = &anchor_; }
    ticket_list(const ticket_list&) = delete;
    ticket_list& operator=(const ticket_list&) = delete;

    bool empty() const noexcept { return anchor_.next == &anchor_; }
    ticket_node& front() noexcept { return *anchor_.next; }
    void push(ticket_node& newest) noexcept {
        newest.next = &anchor_;
        newest.previous = std::exchange(anchor_.previous, &newest);
        newest.previous->next = &newest;
    }
    static void remove(ticket_node& gone) noexcept {
        gone.previous->next = gone.next;
        gone.next->previous = gone.previous;
    }
    static void replace(const ticket_node& from, ticket_node& to) noexcept {
        to.next = from.next;
        to.previous = from.previous;
        to.next->previous = to.previous->next = &to;
    }

  private:
    ticket_node anchor_;
};

}  // namespace

/// Held by its drain, by each ticket, by each listener that finishes for it, and by the loop's queue while
/// it has something to tell.
class drain_state final : letter {
  public:
    explicit drain_state(loop& on)
        : letter{&read_note}, state_of_{on.state()}, deadline_{on, [this] { cut_off(); }} {
        state_of_.hold();
    }
    drain_state(const drain_state&) = delete;
    drain_state& operator=(const drain_state&) = delete;

    void let_go() noexcept {
        if (--holders_ == 0) delete this;
    }
    std::size_t inside() const noexcept { return inside_; }
    bool begun() const noexcept { return phase_ != phase::calm; }

    void begin(std::initializer_list<listener*> doors, nanoseconds grace,
               callback<void(const drain_result&)>&& done, const std::source_location& where);
    void cut_off() noexcept;
    /// The handle goes.
    void end() noexcept;

    void enter(drain::ticket& who) noexcept;
    void leave(drain::ticket& who) noexcept;
    void replace(drain::ticket& from, drain::ticket& to) noexcept;

  private:
    enum class phase : std::uint8_t { calm, finishing, cutting, over };

    ~drain_state() {
        release_doors();
        state_of_.let_go();
    }
    static void read_note(letter& self, loop_state* on);
    void note() noexcept;
    void go_on();
    void tell(drain::ticket& who);
    bool all_left() const noexcept { return inside_ == 0 && open_doors_ == 0; }
    /// Once everybody was told.
    bool at_the_end() const noexcept {
        return phase_ == phase::cutting || (phase_ == phase::finishing && all_left());
    }
    void release_doors() noexcept;
    void finish();

    loop_state& state_of_;
    timer deadline_;
    callback<void(const drain_result&)> done_;
    std::source_location where_;
    std::vector<listener_node*> doors_;
    std::size_t open_doors_ = 0;
    ticket_list to_tell_;
    ticket_list told_;
    drain::ticket* calling_ = nullptr;  ///< whose callback is running, wherever it is by now
    std::size_t inside_ = 0;
    std::size_t holders_ = 1;
    drain_result result_;
    time_point since_{};
    phase phase_ = phase::calm;
    bool owned_ = true;
    bool noted_ = false;  ///< in the loop's queue
};

void drain_state::begin(std::initializer_list<listener*> doors, nanoseconds grace,
                        callback<void(const drain_result&)>&& done, const std::source_location& where) {
    if (begun()) throw std::logic_error("the drain has begun already; use cut_off() to hurry it");
    for (const listener* each : doors)
        if (each->node() && each->node()->closed)
            throw std::logic_error("the listener is drained by somebody else already");
    if (state_of_.closed()) return;
    doors_.reserve(doors.size());
    done_ = std::move(done);
    where_ = where;
    phase_ = phase::finishing;
    since_ = state_of_.carrier().now();
    for (const listener* each : doors) {
        listener_node* const node = each->node();
        if (!node || !node->first()) continue;
        node->hold();
        doors_.push_back(node);
        ++open_doors_;
        ++holders_;
        node->closed = [this, node] {
            --open_doors_;
            result_.accepted += node->late;
            note();
            let_go();
        };
    }
    for (listener_node* each : doors_) each->finish();
    deadline_.at(after(since_, grace));
    note();
}

/// What was asked to finish is told once more.
void drain_state::cut_off() noexcept {
    if (phase_ != phase::finishing || state_of_.closed()) return;
    phase_ = phase::cutting;
    result_.in_time = all_left();
    deadline_.cancel();
    for (listener_node* each : doors_) each->close();
    while (!told_.empty()) {
        ticket_node& each = told_.front();
        ticket_list::remove(each);
        to_tell_.push(each);
    }
    note();
}

void drain_state::end() noexcept {
    const auto dropped = std::move(done_);
    owned_ = false;
    deadline_.cancel();
    let_go();
}

// --- tickets ---------------------------------------------------------------------------------------

void drain_state::enter(drain::ticket& who) noexcept {
    ++inside_;
    ++holders_;
    to_tell_.push(who);
    if (begun()) note();
}

void drain_state::leave(drain::ticket& who) noexcept {
    ticket_list::remove(who);
    if (calling_ == &who) calling_ = nullptr;
    --inside_;
    if (begun() && !who.counted_) ++result_.finished;
    if (phase_ == phase::finishing && all_left()) note();
    let_go();
}

void drain_state::replace(drain::ticket& from, drain::ticket& to) noexcept {
    ticket_list::replace(from, to);
    if (calling_ == &from) calling_ = &to;
}

// --- telling ---------------------------------------------------------------------------------------

void drain_state::note() noexcept {
    if (!owned_ || state_of_.closed() || std::exchange(noted_, true)) return;
    ++holders_;
    state_of_.defer(*this);
}

void drain_state::read_note(letter& self, loop_state* on) {
    auto& state = static_cast<drain_state&>(self);
    struct ending {
        ~ending() { of.let_go(); }
        drain_state& of;
    } const ending{state};
    state.noted_ = false;
    if (on) state.go_on();
}

/// What is left when the budget is used, or a callback throws, is for the next turn.
void drain_state::go_on() {
    struct ending {
        ~ending() {
            if (!of.to_tell_.empty() || of.at_the_end()) of.note();
        }
        drain_state& of;
    } const ending{*this};
    for (int left = turn_budget; left > 0 && !to_tell_.empty(); --left) {
        if (!owned_ || state_of_.leaving()) return;
        tell(static_cast<drain::ticket&>(to_tell_.front()));
    }
    if (owned_ && !state_of_.leaving() && to_tell_.empty() && at_the_end()) finish();
}

/// The callback may destroy its ticket, so it is called where the ticket is not, and put back if it is there.
void drain_state::tell(drain::ticket& who) {
    struct borrowed {
        ~borrowed() {
            if (drain::ticket* const home = std::exchange(of.calling_, nullptr))
                home->told_ = std::move(told);
        }
        drain_state& of;
        callback<void(drain_call)> told;
    } borrowed{*this, std::move(who.told_)};
    calling_ = &who;
    ticket_list::remove(who);
    told_.push(who);
    const drain_call how = phase_ == phase::finishing ? drain_call::finish : drain_call::cut_off;
    if (phase_ == phase::cutting) {
        who.counted_ = true;
        ++result_.cut_off;
    }
    if (borrowed.told) state_of_.call("drain", who.where_, [&] { borrowed.told(how); });
}

void drain_state::release_doors() noexcept {
    for (listener_node* each : std::exchange(doors_, {})) each->let_go();
}

void drain_state::finish() {
    if (phase_ == phase::finishing) result_.in_time = true;
    phase_ = phase::over;
    deadline_.cancel();
    release_doors();
    result_.took = state_of_.carrier().now() - since_;
    auto done = std::exchange(done_, {});
    const drain_result how = result_;
    if (done) state_of_.call("drain", where_, [&] { done(how); });
}

}  // namespace detail

// --- the handles -----------------------------------------------------------------------------------

drain::drain(loop& on) : state_{new detail::drain_state{on}} {}

drain::~drain() {
    state_->end();
}

drain::ticket drain::enter(callback<void(drain_call)> told, location where) {
    ticket made;
    made.told_ = std::move(told);
    made.where_ = where;
    made.of_ = state_;
    state_->enter(made);
    return made;
}

std::size_t drain::inside() const noexcept {
    return state_->inside();
}

bool drain::begun() const noexcept {
    return state_->begun();
}

void drain::cut_off() noexcept {
    state_->cut_off();
}

void drain::begin_all(std::initializer_list<listener*> doors, std::chrono::nanoseconds grace,
                      callback<void(const drain_result&)> done, location where) {
    state_->begin(doors, grace, std::move(done), where);
}

drain::ticket::ticket(ticket&& other) noexcept
    : of_{std::exchange(other.of_, nullptr)},
      where_{other.where_},
      counted_{other.counted_},
      told_{std::move(other.told_)} {
    if (of_) of_->replace(other, *this);
}

drain::ticket& drain::ticket::operator=(ticket&& other) noexcept {
    if (this != &other) {
        this->~ticket();
        ::new (static_cast<void*>(this)) ticket{std::move(other)};
    }
    return *this;
}

void drain::ticket::leave() noexcept {
    const auto dropped = std::move(told_);
    if (auto* const left = std::exchange(of_, nullptr)) left->leave(*this);
}

}  // namespace selectors
