// Random add, modify, remove, close, reuse, write and select, held against a model at every step.
//
//     random_steps --backend epoll --steps 10000000 [--seed N]
//
// Prints the seed; the same seed gives the same steps. Ends with 1 at the first event that was
// misdelivered (to a key that must not see it) or missed (a key that had to see it did not).
#include <cstdlib>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <utility>

#include <selectors/selectors.hpp>

#include "steps.hpp"
#include "world.hpp"

namespace selectors::testing {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t most_ends = 40;

class run {
  public:
    run(const std::string& backend, std::uint64_t seed) : bag_{backend}, random_{seed} {}

    /// Throws std::runtime_error with the step and what was wrong.
    void step() {
        ++steps_;
        act(below(100));
    }

    void summary(std::ostream& out) const {
        out << steps_ << " steps, " << selects_ << " selects, " << delivered_ << " events delivered, "
            << stale_ << " silenced in their batch, " << reused_ << " numbers reused, "
            << closed_in_bag_ << " closed in the bag; 0 misdelivered, 0 missed\n";
    }

  private:
    void act(std::size_t dice) {
        if (dice < 12) return open_one();
        if (dice < 24) return with_any([&](native_handle fd, watched& end) { add(fd, end); });
        if (dice < 36) return with_any([&](native_handle fd, watched& end) { modify(fd, end); });
        if (dice < 42) return with_any([&](native_handle fd, watched& end) { remove(fd, end); });
        if (dice < 48)
            return with_any([&](native_handle fd, watched& end) { close_properly(fd, end); });
        if (dice < 51)
            return with_any([&](native_handle fd, watched& end) { close_in_the_bag(fd, end); });
        if (dice < 52 && world_.duplicates() > 0)
            return world_.drop_duplicate(below(world_.duplicates()));
        if (dice < 54 && world_.duplicates() > 0)
            return world_.write_to_duplicate(below(world_.duplicates()));
        if (dice < 70)
            return with_any([&](native_handle fd, watched& end) { world_.write_from_peer(fd, end); });
        if (dice < 78)
            return with_any([&](native_handle fd, watched& end) { world_.read_all(fd, end); });
        if (dice < 80) return with_any([&](native_handle fd, watched& end) { close_peer(fd, end); });
        if (!in_batch_) select();
    }

    void open_one() {
        if (world_.ends.size() >= most_ends) return;
        if (const auto fd = world_.open_pair()) {
            reused_ += used_before_.contains(*fd);
            used_before_.insert(*fd);
        }
    }

    event some_interest() {
        return (below(4) != 0 ? event::read : event::none) |
               (below(3) == 0 ? event::write : event::none);
    }

    trigger some_mode() {
        constexpr trigger modes[] = {trigger::level,   trigger::level, trigger::level,
                                     trigger::oneshot, trigger::edge,  trigger::exclusive};
        const trigger chosen = modes[below(std::size(modes))];
        const bool always = chosen == trigger::level || chosen == trigger::oneshot;
        return always || bag_.backend().supports(chosen) ? chosen : trigger::level;
    }

    void add(native_handle fd, watched& end) {
        if (end.registered || !end.open) return;
        end.interest = some_interest();
        end.mode = some_mode();
        end.oneshot = end.mode == trigger::oneshot;
        end.incarnation = ++incarnations_;
        bag_.add(fd, end.interest, end.incarnation, end.mode);
        end.news = event::read | event::write | event::hangup;
        end.registered = true;
        touched_.insert(fd);
    }

    void modify(native_handle fd, watched& end) {
        if (!end.registered) return;
        end.interest = some_interest();
        bag_.modify(fd, end.interest);
        touched_.insert(fd);
    }

    void remove(native_handle fd, watched& end) {
        if (!end.registered) return;
        check(bag_.remove(fd) == end.incarnation, fd, "remove returned somebody else's data");
        end.registered = false;
        touched_.insert(fd);
        if (end.open) return;
        if (!end.hung_up()) std::abort();
        world_.ends.erase(fd);
    }

    void close_properly(native_handle fd, watched& end) {
        const bool was_open = end.open;
        remove(fd, end);
        if (!was_open) return;
        world_.close_end(fd, world_.ends.at(fd), below(4) == 0);
        world_.ends.erase(fd);
        touched_.insert(fd);
    }

    /// Misuse: the key stays, the file may live on in a duplicate.
    void close_in_the_bag(native_handle fd, watched& end) {
        if (!end.registered || !end.open) return;
        world_.close_end(fd, end, below(2) == 0);
        touched_.insert(fd);
        ++closed_in_bag_;
    }

    void close_peer(native_handle fd, watched& end) {
        if (end.open) world_.close_peer(fd, end);
    }

    void select() {
        ++selects_;
        std::map<native_handle, std::pair<std::uint64_t, event>> due;
        for (const auto& [fd, end] : world_.ends)
            if (const event events = end.expected()) due[fd] = {end.incarnation, events};
        // After a loop that was left early, what it did not reach may come first, alone, and be stale;
        // and the kernel may hear of changes only with the select after that.
        const bool told_late = partial_;
        partial_ = std::exchange(left_early_, false);
        std::set<native_handle> old_edges;  // may be told again, and need not be
        for (auto& [fd, end] : world_.ends)
            if (const event before = std::exchange(end.asked, end.interest),
                asked_anew = told_late ? event::none : end.interest - before;
                !((std::exchange(end.news, {}) | asked_anew) & end.expected()) &&
                end.mode == trigger::edge)
                old_edges.insert(fd);
        touched_.clear();
        in_batch_ = true;
        std::set<native_handle> reached;
        for (auto [key, events] : bag_.select(0s)) {
            const native_handle fd = key.descriptor();
            deliver(fd, key.data, events, due, reached);
            left_early_ = below(40) == 0;
            if (left_early_) break;
            // In the middle of the batch anything may happen, to this key and to any other.
            for (auto more = below(4) == 0 ? below(6) : 0; more > 0; --more) act(below(80));
        }
        in_batch_ = false;
        if (partial_ || left_early_) return;
        for (const auto& [fd, expected] : due)
            if (!reached.contains(fd) && !old_edges.contains(fd)) {
                check(touched_.contains(fd), fd,
                      "missed " + to_string(expected.second) +
                          ", in the bag: " + (bag_.contains(fd) ? to_string(bag_.interest(fd)) : "no"));
                ++stale_;
            }
    }

    template <class Due>
    void deliver(native_handle fd, std::uint64_t incarnation, event events, const Due& due,
                 std::set<native_handle>& reached) {
        ++delivered_;
        check(reached.insert(fd).second || touched_.contains(fd), fd, "reported twice in one batch");
        const auto found = world_.ends.find(fd);
        check(found != world_.ends.end() && found->second.registered, fd, "is not in the bag");
        watched& end = found->second;
        check(end.incarnation == incarnation, fd, "carries the data of another key");
        if (!end.open) {  // misuse: until it is removed its number is anyone's
            if (end.oneshot || bool(events & event::error)) end.interest = event::none;
            return;
        }
        check(bool(end.interest), fd, "is parked or spent, and was told " + to_string(events));
        check(!(events - (end.interest | event::hangup)), fd,
              "was told " + to_string(events) + " and asked for " + to_string(end.interest));
        if (partial_) {
            // Whose event it is and whether it is asked for was checked; whether it still holds was not.
        } else if (!touched_.contains(fd)) {
            const auto expected = due.find(fd);
            check(expected != due.end() && expected->second.first == incarnation, fd,
                  "is not ready, and was told " + to_string(events));
            // Of an edge kqueue tells what is new, epoll all that is.
            const event due_now =
                end.mode == trigger::edge ? expected->second.second & events : expected->second.second;
            check(due_now == events, fd,
                  "was told " + to_string(events) + " instead of " +
                      to_string(expected->second.second));
        } else {
            check(due.contains(fd) && due.at(fd).first == incarnation, fd,
                  "was told the event of a key that is gone");
        }
        if (end.oneshot) end.interest = event::none;
    }

    void check(bool held, native_handle fd, const std::string& what) {
        if (held) return;
        std::ostringstream text;
        text << "step " << steps_ << ", descriptor " << fd << ": " << what;
        throw std::runtime_error(text.str());
    }

    template <class Action>
    void with_any(Action action) {
        if (world_.ends.empty()) return;
        auto chosen = world_.ends.begin();
        std::advance(chosen, below(world_.ends.size()));
        action(chosen->first, chosen->second);
    }

    std::size_t below(std::size_t limit) { return random_() % limit; }

    world world_;
    selector<std::uint64_t> bag_;
    std::mt19937_64 random_;
    std::set<native_handle> touched_;  ///< changed since the batch was fetched
    std::set<native_handle> used_before_;
    bool in_batch_ = false;
    bool left_early_ = false;
    bool partial_ = false;
    std::uint64_t incarnations_ = 0, steps_ = 0, selects_ = 0, delivered_ = 0, stale_ = 0, reused_ = 0,
                  closed_in_bag_ = 0;
};

}  // namespace
}  // namespace selectors::testing

int main(int argc, char** argv) {
    return selectors::testing::steps_main<selectors::testing::run>("random_steps", argc, argv);
}
