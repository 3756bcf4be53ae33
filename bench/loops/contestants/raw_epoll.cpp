// epoll as an expert writes it: level-triggered, a pointer in the event, 1,024 events a wait.
#include <cerrno>
#include <cstdint>

#include <sys/epoll.h>

#include "../contestant.hpp"

namespace bench {
namespace {

class epoll_set {
  public:
    epoll_set() : set_{::epoll_create1(EPOLL_CLOEXEC)} {
        if (set_ < 0) std::abort();
    }
    epoll_set(const epoll_set&) = delete;
    ~epoll_set() { ::close(set_); }

    void control(int operation, int descriptor, std::uint32_t events, epoll_data_t data) const {
        epoll_event event{events, data};
        if (::epoll_ctl(set_, operation, descriptor, &event) < 0) std::abort();
    }
    std::span<const epoll_event> wait(int milliseconds) {
        const int count = ::epoll_wait(set_, events_, 1024, milliseconds);
        if (count < 0 && errno != EINTR) std::abort();
        return {events_, static_cast<std::size_t>(count < 0 ? 0 : count)};
    }

  private:
    int set_;
    epoll_event events_[1024];
};

class epoll_ring final : public ring {
  public:
    explicit epoll_ring(std::span<const place> places) : places_{places.begin(), places.end()} {
        for (place& each : places_) set_.control(EPOLL_CTL_ADD, each.in, EPOLLIN, {.ptr = &each});
    }
    void play(game& game) override {
        while (!game.over())
            for (const epoll_event& event : set_.wait(-1))
                game.pass(*static_cast<const place*>(event.data.ptr));
    }

  private:
    std::vector<place> places_;
    epoll_set set_;
};

class epoll_interests final : public interests {
  public:
    explicit epoll_interests(std::span<const int> descriptors)
        : descriptors_{descriptors.begin(), descriptors.end()} {}
    void add(std::size_t which) override { control(EPOLL_CTL_ADD, which, EPOLLIN); }
    void widen(std::size_t which) override { control(EPOLL_CTL_MOD, which, EPOLLIN | EPOLLOUT); }
    void narrow(std::size_t which) override { control(EPOLL_CTL_MOD, which, EPOLLIN); }
    void remove(std::size_t which) override { control(EPOLL_CTL_DEL, which, 0); }
    void look() override { (void)set_.wait(0); }

  private:
    void control(int operation, std::size_t which, std::uint32_t events) const {
        set_.control(operation, descriptors_[which], events, {.u64 = which});
    }

    std::vector<int> descriptors_;
    epoll_set set_;
};

}  // namespace

const contestant the_contestant{
    .make_ring = make<ring, epoll_ring>,
    .make_interests = make<interests, epoll_interests>,
};

}  // namespace bench
