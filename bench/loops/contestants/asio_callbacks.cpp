// Asio, and a callback for every number: for who hands over many kinds of things.
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>

#include "../contestant.hpp"

namespace bench {
namespace {

using executor = asio::io_context::executor_type;

class asio_poster final : public poster {
  public:
    explicit asio_poster(inbox& to) : to_{to} {}
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
    asio::io_context loop_{1};  // one thread runs it, and others post: it keeps its locks
    asio::executor_work_guard<executor> stays_{loop_.get_executor()};
};

}  // namespace

const contestant the_contestant{.make_poster = make<poster, asio_poster>};

}  // namespace bench
