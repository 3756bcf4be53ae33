// Asio: asio::post of a lambda. One thread runs it, and the context is told so; others post, so that it
// keeps its locks (a concurrency hint of 1).
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>

#include "poster.hpp"

namespace bench {
namespace {

class with_asio final : public poster {
  public:
    explicit with_asio(inbox& to) : to_{to} {}

    const char* name() const override { return "Asio"; }
    void post(std::size_t first, std::size_t count) override {
        for (std::size_t i = 0; i < count; ++i)
            asio::post(loop_, [this, number = first + i] {
                if (to_.take(number)) loop_.stop();
            });
    }
    void run() override {
        loop_.restart();
        loop_.run();
    }

  private:
    inbox& to_;
    asio::io_context loop_{1};
    asio::executor_work_guard<asio::io_context::executor_type> stays_{loop_.get_executor()};
};

}  // namespace

std::unique_ptr<poster> make_asio_poster(inbox& to) {
    return std::make_unique<with_asio>(to);
}

}  // namespace bench
