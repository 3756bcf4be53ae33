#include "loop_model.hpp"

#include <algorithm>
#include <sstream>
#include <stdexcept>

#include "support/platform.hpp"

namespace selectors::testing {

/// Captured by every callback; large ones do not fit into it.
class loop_model::token {
  public:
    token(loop_model& of, kind what, identity id) : of_{&of}, what_{what}, id_{id} {
        of.check(of.tokens_.insert(id).second, "an identity was given twice");
    }
    token(token&& other) noexcept
        : of_{std::exchange(other.of_, nullptr)}, what_{other.what_}, id_{other.id_} {}
    token& operator=(token&&) = delete;
    ~token() {
        if (of_) of_->token_goes(what_, id_);
    }
    loop_model& model() const { return *of_; }
    identity id() const { return id_; }

  private:
    loop_model* of_;
    kind what_;
    identity id_;
};

/// Knows that what begins ends, and one at a time; and goes before its loop, or with it.
class loop_model::observer final : public loop_observer {
  public:
    void callback_begins(const callback_info&) override { running_ = true; }
    void callback_ends(const callback_info& what) override {
        if (what.took < 0ns) std::abort();
        running_ = false;
    }
    void turn_begins(clock::time_point) override { running_ = false; }
    void turn_ends(clock::time_point, std::uint64_t) override {
        if (running_) std::abort();
    }

  private:
    bool running_ = false;
};

loop_model::loop_model(const std::string& backend, std::uint64_t seed)
    : backend_{backend}, random_{seed}, loop_{std::make_unique<loop>(backend)} {}

loop_model::~loop_model() {
    loop_.reset();
    observer_.reset();
    for (auto& each : watch_handles_) each = watch{};
    for (auto& each : timer_handles_) each = timer{};
    if (wrong_.empty() && !tokens_.empty()) std::abort();
}

void loop_model::summary(std::ostream& out) const {
    out << steps_ << " steps, " << turns_ << " turns, " << calls_ << " callbacks, " << exceptions_
        << " of them threw, " << silenced_ << " ended while due, " << stale_
        << " of closed descriptors, " << loops_ << " loops, " << thrown_away_
        << " thrown away with them; 0 misdelivered, 0 missed, 0 early, 0 lost\n";
}

void loop_model::check(bool held, const std::string& what) {
    if (held) return;
    std::ostringstream text;
    text << "step " << steps_ << ", turn " << turns_ << ", loop " << loops_ << ": " << what;
    if (wrong_.empty()) wrong_ = text.str();
    throw std::runtime_error(text.str());
}

void loop_model::begin_step() {
    ++steps_;
    if (!wrong_.empty()) throw std::runtime_error(wrong_);
}

// --- the world -----------------------------------------------------------------------------------

template <class Action>
void loop_model::with_any_end(Action action) {
    if (world_.ends.empty()) return;
    auto chosen = world_.ends.begin();
    std::advance(chosen, below(world_.ends.size()));
    action(chosen->first, chosen->second);
}

void loop_model::open_pair() {
    if (world_.ends.size() >= 24) return;
    if (const auto fd = world_.open_pair()) world_.ends.at(*fd).incarnation = ++newest_;
}

void loop_model::close_one(bool unwatched_first) {
    with_any_end([&](native_handle fd, watched& end) {
        const identity file = end.incarnation;
        if (unwatched_first)
            for (std::size_t slot = 0; slot < watch_slots; ++slot)
                if (watch_ids_[slot] && watches_.at(watch_ids_[slot]).file == file) end_watch(slot);
        const auto there = world_.ends.find(fd);  // what was captured may have closed it
        if (there == world_.ends.end() || there->second.incarnation != file) return;
        const bool kept = below(4) == 0 && world_.duplicates() < 8;
        while (!kept && world_.duplicates() > 0 && below(3) == 0) world_.drop_duplicate(0);
        for (auto& [id, record] : watches_)
            if (record.fd == fd) record.may_live_on |= kept;
        world_.close_end(fd, there->second, kept);
        world_.ends.erase(there);
        taken_at_.erase(file);
        file_versions_.erase(file);
    });
}

void loop_model::write_one() {
    with_any_end([&](native_handle fd, watched& end) { world_.write_from_peer(fd, end); });
}

void loop_model::read_one() {
    with_any_end([&](native_handle fd, watched& end) {
        if (end.unread == 0) return;
        world_.read_all(fd, end);
        taken_at_[end.incarnation] = steps_;
        ++file_versions_[end.incarnation];
    });
}

void loop_model::hang_up_one() {
    with_any_end([&](native_handle fd, watched& end) {
        if (end.hung_up()) return;
        // Its number may once have been another's, whose watch is still there and holds it open in a ring.
        (void)socket_view{end.peer}.shutdown(shutdown_side::both);
        world_.close_peer(fd, end);
    });
}

/// The file it was made for; null if that was closed.
watched* loop_model::file_of(const watch_record& of) {
    const auto found = world_.ends.find(of.fd);
    const bool same = found != world_.ends.end() && found->second.incarnation == of.file;
    return same ? &found->second : nullptr;
}

event loop_model::due(const watch_record& of) const {
    const auto found = world_.ends.find(of.fd);
    if (of.loop != loops_ || found == world_.ends.end() || found->second.incarnation != of.file)
        return event::none;
    const watched& file = found->second;
    const bool readable = file.unread > 0 || file.hung_up();
    return (event::write | (readable ? event::read : event::none)) & of.interest;
}

// --- callbacks -----------------------------------------------------------------------------------

template <class Call>
callback<Call> loop_model::make_callback(kind what, identity id) {
    const auto made = [&](auto padding) -> callback<Call> {
        return [held = token{*this, what, id}, padding](auto... events) {
            (void)padding;
            loop_model& model = held.model();
            const identity self = held.id();
            if constexpr (sizeof...(events) > 0)
                model.told(self, events...);
            else if (model.timers_.contains(self))
                model.fired(self);
            else
                model.ran(kind::post, self);
            model.check(&held.model() == &model && held.id() == self, "its captures are gone");
        };
    };
    struct large {
        long more[6] = {};
    };
    struct small {};
    return below(3) == 0 ? made(large{}) : made(small{});
}

void loop_model::check_callback(std::uint64_t of) {
    check(frame_ && frame_->loop == of, "a callback outside its loop's turn");
    check(loops_ == of, "a callback of a loop that is gone");
    check(!stopped_, "a callback after a stop");
    ++frame_->called;
    ++calls_;
}

void loop_model::told(identity id, event events) {
    const auto found = watches_.find(id);
    check(found != watches_.end(), "a watch that had ended was told " + to_string(events));
    watch_record& record = found->second;
    const std::string who = "watch of descriptor " + std::to_string(record.fd) + " for " +
                            to_string(record.interest) + ", told " + to_string(events);
    check_callback(record.loop);
    check(!record.running, who + " from inside its own callback");
    check(bool(events) && bool(record.interest), who);
    check(!(events - (record.interest | event::hangup | event::error)), who);
    if (watched* file = file_of(record)) {
        const auto taken = taken_at_.find(record.file);
        const bool was_readable = taken != taken_at_.end() && taken->second >= since_;
        const bool readable = file->unread > 0 || file->hung_up();
        check(!(events & event::read) || readable || was_readable, who + ": it is not readable");
        check(!(events & event::error), who + ": nothing failed");
        check(!(events & event::hangup) || file->hung_up(), who + ": it has not hung up");
    } else {
        ++stale_;
        // Of its file there may be an end to tell; but then that is all.
        if (!record.may_live_on && !is_open(record.fd))
            check(++record.told_since_close <= 3, who + " again and again, which is closed");
    }
    record.told_in_turn = turns_;
    record.overdue = 0;
    record.running = true;
    struct ending {
        ~ending() {
            if (const auto still = of.watches_.find(id); still != of.watches_.end())
                still->second.running = false;
        }
        loop_model& of;
        identity id;
    } const ending{*this, id};
    in_callback(kind::watch, record.slot);
    check(tokens_.contains(id), who + ": its captures are gone before it returned");
}

void loop_model::fired(identity id) {
    timer_record& record = timers_.at(id);
    check_callback(record.loop);
    check(record.armed, "a timer fired that was not armed");
    check(clock::now() >= record.deadline, "a timer fired early");
    // Of several with the same deadline the pushed-out ones come anywhere among the others.
    check(std::get<0>(*armed_.begin()) == record.deadline,
          "a timer fired before one that was due before it");
    const auto deadline = record.deadline;
    const auto period = record.period;
    disarmed(id, record);
    const timer& handle = timer_handles_[record.slot];
    check(handle.armed() == (period > 0ns), "a timer that fired is armed, or one that beats is not");
    if (period > 0ns) {
        check((handle.due() - deadline) % period == 0ns, "a beat is out of step");
        check(handle.due() > loop_->now() && handle.due() - period <= loop_->now(),
              "a beat is not the next that is due");
        is_armed(id, record);
        record.period = period;
    }
    record.running = true;
    struct ending {
        ~ending() {
            if (const auto still = of.timers_.find(id); still != of.timers_.end())
                still->second.running = false;
        }
        loop_model& of;
        identity id;
    } const ending{*this, id};
    in_callback(kind::timer, record.slot);
    check(tokens_.contains(id), "a timer's captures are gone before it returned");
}

void loop_model::ran(kind, identity id) {
    check_callback(loops_);
    const bool is_post = !posted_.empty() && posted_.front() == id;
    const bool is_deferred = !deferred_.empty() && deferred_.front() == id;
    check(is_post || is_deferred, "a post ran twice, or before an older one");
    (is_post ? posted_ : deferred_).pop_front();
    in_callback(is_post ? kind::post : kind::defer, 0);
    check(tokens_.contains(id), "a post's captures are gone before it returned");
}

/// What a callback captured is destroyed. That may do anything, too, but throw.
void loop_model::token_goes(kind what, identity id) noexcept {
    const auto complain = [&](const char* text) {
        if (wrong_.empty()) wrong_ = "step " + std::to_string(steps_) + ": " + text;
    };
    if (tokens_.erase(id) != 1) complain("a capture was destroyed twice");
    if (what == kind::watch && watches_.contains(id)) complain("a watch lost its captures");
    if (what == kind::timer && timers_.contains(id)) complain("a timer lost its captures");
    if (what == kind::post || what == kind::defer) {
        std::deque<identity>& queue = what == kind::post ? posted_ : deferred_;
        if (const auto pending = std::find(queue.begin(), queue.end(), id); pending != queue.end()) {
            if (!dying_ && !abandoned_) complain("a post was destroyed and had not run");
            queue.erase(pending);
            ++thrown_away_;
        }
    }
    if (abandoned_ || depth_ > 2 || !wrong_.empty() || below(8) != 0) return;
    ++depth_;
    try {
        switch (below(7)) {
        case 0: hand_in(kind::post); break;
        case 1: hand_in(kind::defer); break;
        case 2: stop(); break;
        case 3: wake(); break;
        case 4: end_watch(below(watch_slots)); break;
        case 5: end_timer(below(timer_slots)); break;
        case 6: make_timer(below(timer_slots)); break;
        }
    } catch (const std::exception&) {  // check() has noted it
    }
    --depth_;
}

// --- watches -------------------------------------------------------------------------------------

event loop_model::some_interest() {
    return (below(5) != 0 ? event::read : event::none) | (below(4) == 0 ? event::write : event::none) |
           (below(8) == 0 ? event::priority : event::none);
}

/// The kernel will be asked about that number, and may once more say that it is closed.
void loop_model::asked_anew(native_handle fd) {
    for (auto& [id, record] : watches_)
        if (record.fd == fd) record.told_since_close = 0;
}

/// Before its handle goes.
void loop_model::forget_watch(std::size_t slot) {
    const identity id = std::exchange(watch_ids_[slot], 0);
    if (!id) return;
    silenced_ += bool(due(watches_.at(id)));
    asked_anew(watches_.at(id).fd);
    watches_.erase(id);
}

void loop_model::watch_one(std::size_t slot) {
    if (dying_) return;
    with_any_end([&](native_handle fd, watched& end) {
        const identity id = ++newest_;
        const event interest = some_interest();
        const identity file = end.incarnation;
        watch made = loop_->watch(fd, interest, make_callback<void(event)>(kind::watch, id));
        check(bool(made) && made.interest() == interest, "a new watch does not watch");
        forget_watch(slot);
        watch_ids_[slot] = id;
        watches_[id] = {.slot = slot, .fd = fd, .file = file, .interest = interest, .loop = loops_};
        watch_handles_[slot] = std::move(made);
    });
}

void loop_model::watch_closed_number(std::size_t slot) {
    if (dying_ || !watch_ids_[slot]) return;
    const native_handle fd = watches_.at(watch_ids_[slot]).fd;
    if (is_open(fd)) return;
    try {
        const watch none = loop_->watch(fd, event::read, [](event) {});
    } catch (const std::system_error&) {
        return;
    }
    check(false, "descriptor " + std::to_string(fd) + " is closed, and could be watched");
}

void loop_model::modify_watch(std::size_t slot) {
    if (!watch_ids_[slot]) return;
    watch_record& record = watches_.at(watch_ids_[slot]);
    watch& handle = watch_handles_[slot];
    record.interest = some_interest();
    ++record.version;
    asked_anew(record.fd);
    handle.modify(record.interest);
    if (record.loop != loops_ || dying_) return;
    check(!file_of(record) || (handle && handle.interest() == record.interest),
          "a watch of descriptor " + std::to_string(record.fd) + " was lost");
}

void loop_model::move_watch(std::size_t from, std::size_t to) {
    if (from != to) {
        forget_watch(to);
        watch_ids_[to] = std::exchange(watch_ids_[from], 0);
        if (watch_ids_[to]) watches_.at(watch_ids_[to]).slot = to;
    }
    watch_handles_[to] = std::move(watch_handles_[from]);
}

void loop_model::end_watch(std::size_t slot) {
    const identity id = watch_ids_[slot];
    const bool running = id && watches_.at(id).running;
    forget_watch(slot);
    watch_handles_[slot] = watch{};
    check(!id || running || !tokens_.contains(id), "a watch ended, and its captures live");
}

// --- timers --------------------------------------------------------------------------------------

void loop_model::disarmed(identity id, timer_record& record) {
    if (record.armed) armed_.erase({record.deadline, record.order, id});
    record.armed = false;
    record.period = {};
}

void loop_model::is_armed(identity id, timer_record& record) {
    record.armed = true;
    record.deadline = timer_handles_[record.slot].due();
    record.order = ++arming_;
    armed_.insert({record.deadline, record.order, id});
}

void loop_model::forget_timer(std::size_t slot) {
    const identity id = std::exchange(timer_ids_[slot], 0);
    if (!id) return;
    disarmed(id, timers_.at(id));
    timers_.erase(id);
}

void loop_model::make_timer(std::size_t slot) {
    const identity id = ++newest_;
    timer made{dying_ ? *dying_ : *loop_, make_callback<void()>(kind::timer, id)};
    forget_timer(slot);
    timer_ids_[slot] = id;
    timers_[id] = {.slot = slot, .loop = loops_};
    timer_handles_[slot] = std::move(made);
    if (timer_ids_[slot] == id && below(4) != 0) arm_timer(slot);
}

void loop_model::arm_timer(std::size_t slot) {
    const identity id = timer_ids_[slot];
    if (!id) return;
    timer_record& record = timers_.at(id);
    timer& handle = timer_handles_[slot];
    disarmed(id, record);
    const std::chrono::nanoseconds delay = below(20) == 0 ? 1h : below(200'000) * 1ns;
    if (record.loop != loops_ || dying_) {
        handle.after(delay);
        return check(!handle.armed(), "a timer of a loop that is gone was armed");
    }
    const auto turn = loop_->now();
    const auto soonest = clock::now() + delay;
    std::chrono::nanoseconds period{};
    switch (below(4)) {
    case 0: {
        const auto when = turn + delay - 100us;
        handle.at(when);
        // One that was due sooner is pushed out to a time that has passed, as it is.
        check(handle.due() == when || handle.due() == turn + 1ns, "a timer is due at another time");
        check(handle.due() >= when, "a timer is due too early");
        break;
    }
    case 1:
        period = delay + 1us;
        handle.every(period);
        break;
    default: handle.after(delay); break;
    }
    check(handle.armed(), "a timer is not armed");
    is_armed(id, record);
    record.period = period;
    if (period > 0ns) check(record.deadline >= soonest, "a beat is due too early");
}

void loop_model::cancel_timer(std::size_t slot) {
    if (timer_ids_[slot]) disarmed(timer_ids_[slot], timers_.at(timer_ids_[slot]));
    timer_handles_[slot].cancel();
    check(!timer_handles_[slot].armed(), "a cancelled timer is armed");
}

void loop_model::move_timer(std::size_t from, std::size_t to) {
    if (from != to) {
        forget_timer(to);
        timer_ids_[to] = std::exchange(timer_ids_[from], 0);
        if (timer_ids_[to]) timers_.at(timer_ids_[to]).slot = to;
    }
    timer_handles_[to] = std::move(timer_handles_[from]);
}

void loop_model::end_timer(std::size_t slot) {
    const identity id = timer_ids_[slot];
    const bool running = id && timers_.at(id).running;
    forget_timer(slot);
    timer_handles_[slot] = timer{};
    check(!id || running || !tokens_.contains(id), "a timer ended, and its captures live");
}

// --- the loop ------------------------------------------------------------------------------------

void loop_model::hand_in(kind what) {
    const identity id = ++newest_;
    loop& on = dying_ ? *dying_ : *loop_;
    auto work = make_callback<void()>(what, id);
    (what == kind::post ? posted_ : deferred_).push_back(id);
    if (what == kind::post)
        on.post(std::move(work));
    else
        on.defer(std::move(work));
}

void loop_model::stop() {
    if (dying_) return dying_->stop();
    stopped_ = true;
    loop_->stop();
}

void loop_model::wake() {
    (dying_ ? dying_ : loop_.get())->wake();
}

void loop_model::toggle_observer() {
    if (dying_) return;
    auto next = observer_ ? nullptr : std::make_unique<observer>();
    loop_->observe(next.get());
    observer_ = std::move(next);
}

void loop_model::end_everything() {
    for (std::size_t slot = 0; slot < watch_slots; ++slot) end_watch(slot);
    for (std::size_t slot = 0; slot < timer_slots; ++slot) end_timer(slot);
}

void loop_model::replace_loop() {
    dying_ = loop_.get();
    loop_.reset();
    dying_ = nullptr;
    observer_.reset();
    check(posted_.empty() && deferred_.empty(), "a post outlives its loop");
    for (std::size_t slot = 0; slot < timer_slots; ++slot) {
        if (timer_ids_[slot]) disarmed(timer_ids_[slot], timers_.at(timer_ids_[slot]));
        check(!timer_handles_[slot].armed(), "a timer of a loop that is gone is armed");
    }
    for (const watch& each : watch_handles_) check(!each, "a watch of a loop that is gone watches");
    ++loops_;
    stopped_ = false;
    complete_ = true;
    loop_ = std::make_unique<loop>(backend_);
}

/// True if the loop is still there and nothing was thrown.
template <class Run>
bool loop_model::run_framed(frame& now, Run run) {
    frame* const outer = std::exchange(frame_, &now);
    bool returned = false;
    try {
        run(*loop_);
        returned = true;
    } catch (const thrown&) {
        ++exceptions_;
    } catch (...) {
        frame_ = outer;
        throw;
    }
    frame_ = outer;
    if (!wrong_.empty()) throw std::runtime_error(wrong_);
    if (loops_ != now.loop) return false;
    complete_ = returned && !stopped_;
    if (returned) stopped_ = false;
    return complete_;
}

void loop_model::turn() {
    begin_step();
    ++turns_;
    if (complete_) since_ = steps_;
    std::vector<due_watch> were_due;
    for (const auto& [id, record] : watches_)
        if (due(record)) were_due.push_back({id, record.version, file_versions_[record.file]});
    const identity newest = newest_;
    const auto timeout = below(4) == 0 ? 20us : 0us;
    frame now{loops_};
    const bool whole = run_framed(now, [&](loop& on) {
        const std::size_t called = on.run_once(timeout);
        check(called == now.called, "a turn miscounts its callbacks");
    });
    if (whole) audit(were_due, newest);
}

/// What a turn that nothing cut short owes.
void loop_model::audit(const std::vector<due_watch>& were_due, identity newest) {
    check(posted_.empty() || posted_.front() > newest, "a post did not run in its turn");
    check(deferred_.empty() || deferred_.front() > newest, "what was deferred did not run in its turn");
    check(armed_.empty() || std::get<0>(*armed_.begin()) > loop_->now(),
          "a timer was due and did not fire");
    for (const due_watch& was : were_due) {
        const auto found = watches_.find(was.which);
        if (found == watches_.end()) continue;
        watch_record& record = found->second;
        const bool owed = due(record) && record.version == was.version &&
                          file_versions_[record.file] == was.file_version &&
                          record.told_in_turn != turns_;
        record.overdue = owed ? record.overdue + 1 : 0;
        check(record.overdue < 2, "a watch of descriptor " + std::to_string(record.fd) + " missed " +
                                      to_string(due(record)));
    }
}

void loop_model::run_nested() {
    if (dying_) return;
    if (frame_ && frame_->loop == loops_) {
        try {
            loop_->run_once(0s);
        } catch (const std::logic_error&) {
            return;
        }
        check(false, "a loop ran inside its own callback");
    }
    if (frame_ && depth_ < 2) {
        ++depth_;
        turn();
        --depth_;
    }
}

void loop_model::run_until_stopped() {
    if (frame_ || dying_) return;
    begin_step();
    if (complete_) since_ = steps_;
    if (below(2) == 0) stop();
    const timer end = loop_->after(50us, [this] { stop(); });
    frame now{loops_};
    (void)run_framed(now, [](loop& on) { on.run(); });
}

}  // namespace selectors::testing
