// The loop, and a callback for every number: for who hands over many kinds of things, as asio::post does.
#include <selectors/async.hpp>

#include "../contestant.hpp"

namespace bench {
namespace {

class loop_poster final : public poster {
  public:
    explicit loop_poster(inbox& to) : to_{to} {}
    void post(std::size_t first, std::size_t count) override {
        for (std::size_t i = 0; i < count; ++i)
            loop_.post([this, number = first + i] {
                if (to_.take(number)) loop_.stop();
            });
    }
    void run() override { loop_.run(); }

  private:
    inbox& to_;
    selectors::loop loop_;
};

}  // namespace

const contestant the_contestant{.make_poster = make<poster, loop_poster>};

}  // namespace bench
