// libuv: uv_async_send. Any number of them are one callback, and they carry nothing: the numbers wait in a
// queue of the user's, and whoever finds it empty sends.
#include <uv.h>

#include "poster.hpp"

namespace bench {
namespace {

class libuv final : public poster {
  public:
    explicit libuv(inbox& to) : to_{to} {
        uv_loop_init(&loop_);
        uv_async_init(&loop_, &bell_, rung);
        bell_.data = this;
    }
    ~libuv() override {
        uv_close(reinterpret_cast<uv_handle_t*>(&bell_), nullptr);
        uv_run(&loop_, UV_RUN_DEFAULT);
        uv_loop_close(&loop_);
    }

    const char* name() const override { return "libuv"; }
    void post(std::size_t first, std::size_t count) override {
        for (std::size_t i = 0; i < count; ++i)
            if (numbers_.push(first + i)) uv_async_send(&bell_);
    }
    void run() override { uv_run(&loop_, UV_RUN_DEFAULT); }

  private:
    static void rung(uv_async_t* bell) {
        auto& self = *static_cast<libuv*>(bell->data);
        if (self.numbers_.empty_into(self.to_)) uv_stop(&self.loop_);
    }

    inbox& to_;
    uv_loop_t loop_;
    uv_async_t bell_;
    number_queue numbers_;
};

}  // namespace

std::unique_ptr<poster> make_libuv_poster(inbox& to) {
    return std::make_unique<libuv>(to);
}

}  // namespace bench
