// libev: ev_async_send. Any number of them are one callback, and they carry nothing: the numbers wait in a
// queue of the user's, and whoever finds it empty sends.
#include <ev.h>

#include "poster.hpp"

namespace bench {
namespace {

class libev final : public poster {
  public:
    explicit libev(inbox& to) : to_{to}, loop_{ev_loop_new(EVFLAG_AUTO)} {
        ev_async_init(&bell_, rung);
        bell_.data = this;
        ev_async_start(loop_, &bell_);
    }
    ~libev() override {
        ev_async_stop(loop_, &bell_);
        ev_loop_destroy(loop_);
    }

    const char* name() const override { return "libev"; }
    void post(std::size_t first, std::size_t count) override {
        for (std::size_t i = 0; i < count; ++i)
            if (numbers_.push(first + i)) ev_async_send(loop_, &bell_);
    }
    void run() override { ev_run(loop_, 0); }

  private:
    static void rung(struct ev_loop* loop, ev_async* bell, int) {
        auto& self = *static_cast<libev*>(bell->data);
        if (self.numbers_.empty_into(self.to_)) ev_break(loop, EVBREAK_ALL);
    }

    inbox& to_;
    struct ev_loop* loop_;
    ev_async bell_;
    number_queue numbers_;
};

}  // namespace

std::unique_ptr<poster> make_libev_poster(inbox& to) {
    return std::make_unique<libev>(to);
}

}  // namespace bench
