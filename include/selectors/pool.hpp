// selectors/pool.hpp - one loop a core, each on a thread of its own.
//
//     sel::pool pool;                                          // as many loops as processors
//     pool.run([&](sel::loop& loop) {                          // on each thread; returns when all have
//         sel::listener door{loop, sel::listen(here, sel::shared_port), serve};
//         loop.run();
//     });
//
// What a loop's thread needs lives on its stack, where `run` was given it: nothing is shared but what you
// share. There are two ways to spread connections: a listening socket for each loop on the same port, among
// which the kernel chooses (above); or one listener that hands over what it accepts:
//
//     pool.next().post([peer = std::move(peer.socket)]() mutable { serve(std::move(peer)); });
//
// Threads: `run` is called by one thread, which becomes the first loop's; `stop` from any thread or signal
// handler; `next`, `at` and `size` from any thread while `run` is running.
#pragma once

#include <cstddef>
#include <string_view>

#include <selectors/callback.hpp>
#include <selectors/export.hpp>
#include <selectors/loop.hpp>

namespace selectors {

class SELECTORS_API pool {
  public:
    /// So many loops; 0: one for each processor this process may use. On the named mechanism, or, as a bag
    /// that names none, on the best.
    explicit pool(std::size_t loops = 0, std::string_view backend_name = {});
    pool(const pool&) = delete;
    pool& operator=(const pool&) = delete;
    /// Must not be running.
    ~pool();

    /// Makes the loops, each on the thread that will run it, and then calls `work` on all threads at once.
    /// Returns when every call has returned; the loops go then, so that what is posted to one whose call
    /// has returned is destroyed. If one throws, or a loop or thread cannot be made, the others are
    /// stopped, and when they have returned the first exception comes out of here.
    void run(callback<void(loop&)> work);

    /// Stops every loop, as loop::stop does: now, or as soon as it runs. Ends one `run` only.
    void stop() noexcept;

    std::size_t size() const noexcept;
    loop& at(std::size_t index) noexcept;
    /// The loops in turn.
    loop& next() noexcept;

  private:
    struct state;
    state* state_;
};

}  // namespace selectors
