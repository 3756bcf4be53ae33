// port.hpp - the mechanism under a bag that Python uses: it waits without the interpreter's lock.
//
// That lock guards everything else. So a thread may find another one waiting in the bag that it wants to change:
// it asks that one to step aside.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <span>
#include <utility>

#include <selectors/backend.hpp>

#include "object.hpp"

namespace bagselectors {

namespace sel = selectors;
using std::chrono::nanoseconds;

/// Which process this is: of what a fork copied, the threads are not here.
inline unsigned process = 1;

/// Lets one thread wait in the bag, and others in while it steps aside. No member takes the interpreter's
/// lock; they are called without it where they may block.
class turnstile {
  public:
    /// The waiter's, with the interpreter's lock. False if somebody wants in first.
    bool close() {
        leave_the_parents();
        const std::lock_guard lock{mutex_};
        return closed_ = guests_ == 0;
    }
    void open() {
        {
            const std::lock_guard lock{mutex_};
            closed_ = false;
        }
        changed_.notify_all();
    }
    void until_nobody_wants_in() {
        std::unique_lock lock{mutex_};
        changed_.wait(lock, [&] { return guests_ == 0; });
    }
    /// Anybody else's, with the interpreter's lock. Whether the waiter has to be asked to step aside.
    bool knock() {
        leave_the_parents();
        const std::lock_guard lock{mutex_};
        guests_ += closed_;
        return closed_;
    }
    void until_open() {
        std::unique_lock lock{mutex_};
        changed_.wait(lock, [&] { return !closed_; });
    }
    void leave() {
        {
            const std::lock_guard lock{mutex_};
            --guests_;
        }
        changed_.notify_all();
    }

  private:
    /// Whoever waits in it, wants in or has it locked does so in the parent. The interpreter's lock keeps others away.
    void leave_the_parents() noexcept {
        if (std::exchange(process_, process) == process) return;
        std::construct_at(&mutex_);
        std::construct_at(&changed_);
        closed_ = false;
        guests_ = 0;
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    unsigned process_ = process;
    bool closed_ = false;
    int guests_ = 0;
};

/// The mechanism under the bag, which lets Python run while it waits, and runs signal handlers after.
class port final : public sel::backend {
  public:
    port(sel::backend_handle mechanism, turnstile& gate)
        : mechanism_{std::move(mechanism)}, gate_{gate} {}

    const char* name() const noexcept override { return mechanism_->name(); }
    bool supports(sel::trigger mode) const noexcept override { return mechanism_->supports(mode); }
    sel::admission add(const sel::registration& wanted) override {
        const sel::admission how = mechanism_->add(wanted);
        // Python's epoll has it so, and here whatever has no way to wait for files.
        if (how == sel::admission::always_ready)
            throw std::system_error(EPERM, std::system_category(), "epoll_ctl");
        return how;
    }
    void modify(const sel::registration& wanted) override { mechanism_->modify(wanted); }
    bool remove(const sel::registration& known) noexcept override { return mechanism_->remove(known); }
    bool forgets_what_is_closed() const noexcept override {
        return mechanism_->forgets_what_is_closed();
    }
    void wake() noexcept override { mechanism_->wake(); }
    sel::native_handle descriptor() const noexcept override { return mechanism_->descriptor(); }
    void reopen() override { mechanism_->reopen(); }

    std::size_t wait(std::span<sel::notice> room, nanoseconds timeout) override {
        if (timeout == nanoseconds::zero()) return mechanism_->wait(room, timeout);
        if (!gate_.close()) {
            const unlocked others;
            gate_.until_nobody_wants_in();
            return 0;  // the bag has something to tell the mechanism now
        }
        std::size_t count = 0;
        {
            const unlocked others;
            struct opening {
                ~opening() { gate.open(); }
                turnstile& gate;
            } const opening{gate_};
            count = mechanism_->wait(room, timeout);
        }
        // PEP 475: a signal ends the wait only if its handler raises. Also where something was found, for it may be
        // nobody's, and then the bag waits again; what is somebody's comes again, level-triggered as all is here.
        if (PyErr_CheckSignals() < 0) throw raised{};
        return count;
    }

  private:
    sel::backend_handle mechanism_;
    turnstile& gate_;
};

}  // namespace bagselectors
