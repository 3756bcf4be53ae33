// Asio's coroutines: one for every place, which waits for a token in async_read_some, its everyday way, and so reads once
// too often for every token; with async_wait it would be an epoll_ctl too many instead, about the same. One thread and no
// locks; io_context's own executors, not any_io_executor. A descriptor is registered once, for good: there is nothing for ctl.
#include <exception>

#include <asio/awaitable.hpp>
#include <asio/buffer.hpp>
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/posix/basic_stream_descriptor.hpp>
#include <asio/use_awaitable.hpp>

#include "../contestant.hpp"

namespace bench {
namespace {

class asio_coroutine_ring final : public ring {
  public:
    explicit asio_coroutine_ring(std::span<const place> places) {
        descriptors_.reserve(places.size());
        for (const place& each : places)
            asio::co_spawn(loop_, watch(descriptors_.emplace_back(loop_, each.in), each),
                           [](std::exception_ptr error) {
                               if (error) std::abort();
                           });
        loop_.poll();  // they come to where they wait before the game, not in it
    }
    ~asio_coroutine_ring() override {
        for (descriptor& each : descriptors_)
            each.release();  // they are the harness's, which closes them
    }
    void play(game& game) override {
        game_ = &game;
        loop_.restart();
        loop_.run();
    }

  private:
    using executor = asio::io_context::executor_type;
    using descriptor = asio::posix::basic_stream_descriptor<executor>;

    asio::awaitable<void, executor> watch(descriptor& in, place at) {
        constexpr asio::use_awaitable_t<executor> to_here;
        for (char token;;) {
            co_await in.async_read_some(asio::buffer(&token, 1), to_here);
            if (game_->taken()) game::put(at);
            if (game_->over()) loop_.stop();
        }
    }

    game* game_ = nullptr;
    asio::io_context loop_{ASIO_CONCURRENCY_HINT_UNSAFE};
    std::vector<descriptor> descriptors_;
};

}  // namespace

const contestant the_contestant{.make_ring = make<ring, asio_coroutine_ring>};

}  // namespace bench
