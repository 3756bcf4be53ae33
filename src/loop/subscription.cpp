#include "loop/subscription.hpp"

#include <string>
#include <thread>

#include "system/process.hpp"

namespace selectors::detail {
namespace {

static_assert(std::atomic<subscription*>::is_always_lock_free &&
              std::atomic<unsigned>::is_always_lock_free);

constinit std::atomic<subscription*> listed{nullptr};
/// Handlers are counted by the phase in which they came. Whoever takes somebody out begins the other
/// phase and waits for those of the last, so that a storm of new ones does not keep it waiting.
constinit std::atomic<unsigned> phase{0};
constinit std::atomic<unsigned> inside[2] = {};
/// Held while the list changes. A mutex could not be given up in a child for a thread that is not there.
constinit std::atomic<bool> changing{false};

/// Until it is counted in the phase that is on: one that is late would be missed by who began the next.
std::atomic<unsigned>& enter() noexcept {
    for (;;) {
        const unsigned now = phase.load();
        inside[now].fetch_add(1);
        if (phase.load() == now) return inside[now];
        inside[now].fetch_sub(1);
    }
}

/// The signal's handler, on any thread: touches nothing but atomics, and allocates nothing.
void heard(int number) noexcept {
    std::atomic<unsigned>& counted = enter();
    for (subscription* each = listed.load(); each; each = each->next_listed.load())
        if (each->number == number) each->ring();
    counted.fetch_sub(1);
}

void await_handlers() noexcept {
    std::atomic<unsigned>& earlier = inside[phase.fetch_xor(1)];
    while (earlier.load() != 0) std::this_thread::yield();
}

/// Only the thread that forked is in the child: the others are in no handler there, and hold nothing.
void begin_in_child() noexcept {
    inside[0].store(0);
    inside[1].store(0);
    changing.store(false);
}

/// This thread hears no signal meanwhile: a handler of somebody else's that forks or leaves by a long jump
/// would leave the list locked for ever.
class changing_list {
  public:
    changing_list() noexcept {
        sys::after_fork.store(&begin_in_child, std::memory_order_relaxed);
        while (changing.exchange(true, std::memory_order_acquire)) std::this_thread::yield();
    }
    changing_list(const changing_list&) = delete;
    changing_list& operator=(const changing_list&) = delete;
    ~changing_list() { changing.store(false, std::memory_order_release); }

    static bool has(int number) noexcept {
        for (subscription* each = listed.load(); each; each = each->next_listed.load())
            if (each->number == number) return true;
        return false;
    }
    /// Behind the others, who are told first.
    static void put_in(subscription& one) noexcept {
        one.next_listed.store(nullptr);
        link_to(nullptr).store(&one);
        one.listed = true;
    }
    static void take_out(subscription& one) noexcept {
        link_to(&one).store(one.next_listed.load());
        await_handlers();
        one.listed = false;
    }

  private:
    static std::atomic<subscription*>& link_to(const subscription* one) noexcept {
        std::atomic<subscription*>* link = &listed;
        while (subscription* const each = link->load()) {
            if (each == one) break;
            link = &each->next_listed;
        }
        return *link;
    }

    sys::signals_blocked quiet_;
};

}  // namespace

void subscribe(subscription& to) {
    const changing_list list;
    const bool first = !list.has(to.number);
    list.put_in(to);  // before the handler is there, or a signal would find nobody
    if (!first) return;
    if (const auto caught = sys::catch_signal(to.number, &heard); !caught) {
        list.take_out(to);
        throw std::system_error(caught.error(), "catching signal " + std::to_string(to.number));
    }
}

void unsubscribe(subscription& from) noexcept {
    if (!from.listed) return;
    const changing_list list;
    list.take_out(from);
    if (!list.has(from.number)) sys::release_signal(from.number);
}

}  // namespace selectors::detail
