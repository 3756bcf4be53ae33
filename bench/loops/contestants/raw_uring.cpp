// io_uring as an expert writes it, with liburing: one io_uring_enter a turn, which hands over all that is wanted and takes
// what has happened (SINGLE_ISSUER and DEFER_TASKRUN: the kernel works only when it is asked).
// Every place has one multishot recv, armed once, into a ring of provided buffers. Tokens are passed on by send requests,
// silent if they succeed: 7 to 30 % cheaper here than write(2). Registered files made no difference.
// Interests are multishot polls; their changes are batched until the next look.
#include <cerrno>
#include <utility>

#include <liburing.h>
#include <poll.h>

#include "../contestant.hpp"

namespace bench {
namespace {

constexpr std::uint64_t nobody = ~std::uint64_t{0};

void answer_only_failure(io_uring_sqe* request) noexcept {
    request->flags |= IOSQE_CQE_SKIP_SUCCESS;
    request->user_data = nobody;
}

class uring {
  public:
    /// With room for so many completions at once: what does not fit in would end the multishots.
    explicit uring(std::size_t completions) {
        io_uring_params wanted{};
        wanted.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                       IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
        wanted.cq_entries = static_cast<unsigned>(completions);
        if (::io_uring_queue_init_params(1024, &ring_, &wanted) < 0) std::abort();
        ::io_uring_register_ring_fd(&ring_);
    }
    uring(const uring&) = delete;
    ~uring() { ::io_uring_queue_exit(&ring_); }

    io_uring* get() noexcept { return &ring_; }
    /// None if as many have been made as can be handed over at once.
    io_uring_sqe* request() noexcept { return ::io_uring_get_sqe(&ring_); }
    /// Hands over the requests, and waits for that many completions.
    void enter(unsigned completions) {
        const int outcome = completions > 0 ? ::io_uring_submit_and_wait(&ring_, completions)
                                            : ::io_uring_submit_and_get_events(&ring_);
        if (outcome < 0 && outcome != -EINTR) std::abort();
    }
    template <class With>
    void each_completion(With with) {
        unsigned head;
        unsigned count = 0;
        io_uring_cqe* cqe;
        io_uring_for_each_cqe(&ring_, head, cqe) {
            with(std::as_const(*cqe));
            ++count;
        }
        ::io_uring_cq_advance(&ring_, count);
    }

  private:
    io_uring ring_;
};

/// Where the kernel puts what it receives: as many buffers as others take events at a time, each with room for the
/// tokens that meet in a place. More would change nothing: Linux 6.13 and newer receive 20 times a turn.
class buffers {
  public:
    explicit buffers(uring& ring) {
        io_uring_buf_reg where{reinterpret_cast<std::uintptr_t>(queue_), count, 0, 0, {}};
        if (::io_uring_register_buf_ring(ring.get(), &where, 0) < 0) std::abort();
        for (unsigned i = 0; i < count; ++i) give(i);
        publish();
    }
    void give(unsigned id) noexcept {
        ::io_uring_buf_ring_add(ring(), bytes_[id], sizeof bytes_[id], static_cast<unsigned short>(id),
                                count - 1, given_++);
    }
    void publish() noexcept { ::io_uring_buf_ring_advance(ring(), std::exchange(given_, 0)); }

  private:
    static constexpr int count = 1024;

    io_uring_buf_ring* ring() noexcept { return reinterpret_cast<io_uring_buf_ring*>(queue_); }

    alignas(4096) io_uring_buf queue_[count] = {};
    char bytes_[count][64];
    int given_ = 0;
};

class uring_ring final : public ring {
  public:
    explicit uring_ring(std::span<const place> places)
        : places_{places.begin(), places.end()}, uring_{4 * places.size() + 4096}, buffers_{uring_} {
        for (std::size_t i = 0; i < places_.size(); ++i) watch(i);
        uring_.enter(0);
    }
    /// Else the kernel would clean up later, beside the next contestant.
    ~uring_ring() override {
        io_uring_sqe* const cancellation = request();
        ::io_uring_prep_cancel64(cancellation, 0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
        answer_only_failure(cancellation);
        uring_.enter(static_cast<unsigned>(places_.size()));
    }
    void play(game& game) override {
        while (!game.over()) {
            uring_.enter(1);
            uring_.each_completion([&](const io_uring_cqe& of) { received(game, of); });
            buffers_.publish();
        }
    }

  private:
    void received(game& game, const io_uring_cqe& what) {
        if (what.user_data == nobody) std::abort();  // a send has failed
        if (what.res > 0) {
            buffers_.give(what.flags >> IORING_CQE_BUFFER_SHIFT);
            for (int token = 0; token < what.res; ++token)
                if (game.taken()) put(places_[what.user_data].out);
        } else if (what.res != -ENOBUFS) {
            std::abort();
        }
        if (!(what.flags & IORING_CQE_F_MORE)) watch(what.user_data);
    }
    void watch(std::size_t which) {
        io_uring_sqe* const recv = request();
        ::io_uring_prep_recv_multishot(recv, places_[which].in, nullptr, 0, 0);
        recv->flags |= IOSQE_BUFFER_SELECT;
        recv->user_data = which;
    }
    void put(int out) {
        io_uring_sqe* const send = request();
        ::io_uring_prep_send(send, out, "t", 1, 0);
        answer_only_failure(send);
    }
    io_uring_sqe* request() {
        if (io_uring_sqe* const free = uring_.request()) return free;
        uring_.enter(0);
        return uring_.request();
    }

    std::vector<place> places_;
    uring uring_;
    buffers buffers_;
};

class uring_interests final : public interests {
  public:
    explicit uring_interests(std::span<const int> descriptors)
        : descriptors_{descriptors.begin(), descriptors.end()}, uring_{2 * descriptors.size() + 4096} {}
    void add(std::size_t which) override {
        io_uring_sqe* const poll = request();
        ::io_uring_prep_poll_multishot(poll, descriptors_[which], POLLIN);
        poll->user_data = which;
    }
    void widen(std::size_t which) override { update(which, POLLIN | POLLOUT); }
    void narrow(std::size_t which) override { update(which, POLLIN); }
    void remove(std::size_t which) override {
        io_uring_sqe* const removal = request();
        ::io_uring_prep_poll_remove(removal, which);
        answer_only_failure(removal);
        ++removed_;
    }
    /// Who is removed answers once. Without being waited for, only 20 would be let go (Linux 6.13 and newer).
    void look() override {
        uring_.enter(std::exchange(removed_, 0));
        uring_.each_completion([](const io_uring_cqe& of) {
            if (of.user_data == nobody) std::abort();
        });
    }

  private:
    void update(std::size_t which, unsigned events) {
        io_uring_sqe* const change = request();
        ::io_uring_prep_poll_update(change, which, 0, events, IORING_POLL_UPDATE_EVENTS);
        answer_only_failure(change);
    }
    io_uring_sqe* request() {
        if (io_uring_sqe* const free = uring_.request()) return free;
        look();
        return uring_.request();
    }

    std::vector<int> descriptors_;
    uring uring_;
    unsigned removed_ = 0;
};

}  // namespace

const contestant the_contestant{
    .make_ring = make<ring, uring_ring>,
    .make_interests = make<interests, uring_interests>,
};

}  // namespace bench
