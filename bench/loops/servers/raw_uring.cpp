// io_uring as an expert writes it, with liburing: one io_uring_enter a turn, a multishot accept, a multishot recv for each
// connection into buffers that all share, and a send straight from there: one request and one completion a message.
// That send does not wait for its peer (MSG_DONTWAIT). So it is over when io_uring_enter returns, silent if it has sent
// everything, and its buffer goes back in the same turn: who does not read cannot hold any. Only what is left is copied,
// and sent by a request that does wait. Meanwhile the multishot recv ends: each is for 64 KB (Linux 6.17 and newer).
// Neither registered descriptors nor a longer recv made a difference.
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include <liburing.h>
#include <sys/socket.h>

#include "server.hpp"

#ifndef IORING_CQE_F_BUF_MORE  // Debian's headers are older
#define IORING_CQE_F_BUF_MORE (1U << 4)
#define IOU_PBUF_RING_INC 2
#endif

namespace {

struct connection {
    int descriptor;
    bool receiving = false;
    bool ended = false;  ///< has said all, or is broken
    bool in_todo = false;
    bool attempting = false;   ///< in this turn
    std::string kept = {};     ///< what could not be sent at once,
    std::string sending = {};  ///< and what is being sent of that

    bool idle() const { return kept.empty() && sending.empty(); }
};

/// A send straight from a buffer.
struct attempt {
    connection* to;
    const char* data;
    std::size_t size;
    unsigned buffer;
};

/// What a completion is of: in the low bits of its user data, beside a connection or the place of an attempt.
enum kind : std::uint64_t { of_accept, of_receive, of_attempt, of_send, of_nothing, kinds = 8 };

io_uring ring;
std::vector<attempt> attempts;  ///< of this turn
std::vector<attempt> tried;     ///< of the last one: by now they are over
std::vector<connection*> todo;  ///< who is to be seen to at the end of the turn
bool accepting = false;
bool out_of_descriptors = false;

/// Each has room for the largest read, and is filled bit by bit (IOU_PBUF_RING_INC): small messages lie close
/// together, and few of 16 KB are cut up. 2 MB in all, found by trying: with half of it 1,000 connections of 16 KB too
/// often find no room (-ENOBUFS), and have to ask again in the next turn; twice as much gains nothing.
constexpr int buffer_count = 32;
io_uring_buf_ring* buffer_queue;
alignas(4096) char buffers[buffer_count][bench::read_size];
std::size_t filled[buffer_count];
unsigned users[buffer_count];

void give(unsigned buffer) {
    filled[buffer] = 0;
    users[buffer] = 1;  // the kernel
    ::io_uring_buf_ring_add(buffer_queue, buffers[buffer], sizeof buffers[buffer],
                            static_cast<unsigned short>(buffer), buffer_count - 1, 0);
    ::io_uring_buf_ring_advance(buffer_queue, 1);
}

void release(unsigned buffer) {
    if (--users[buffer] == 0) give(buffer);
}

// --- requests ----------------------------------------------------------------------------------------------

/// For one request, and an accept.
bool has_room() {
    return ::io_uring_sq_space_left(&ring) >= 2;
}

std::uint64_t tag(kind of, const connection& which) {
    return reinterpret_cast<std::uintptr_t>(&which) | of;
}

void accept() {
    io_uring_sqe* const request = ::io_uring_get_sqe(&ring);
    ::io_uring_prep_multishot_accept(request, bench::listening_descriptor, nullptr, nullptr,
                                     SOCK_CLOEXEC);
    request->user_data = of_accept;
    accepting = true;
}

void receive(connection& from) {
    io_uring_sqe* const request = ::io_uring_get_sqe(&ring);
    ::io_uring_prep_recv_multishot(request, from.descriptor, nullptr, 0, 0);
    request->flags |= IOSQE_BUFFER_SELECT;
    request->file_index = bench::read_size;  // optlen in younger headers: ends after that much
    request->user_data = tag(of_receive, from);
    from.receiving = true;
}

void attempt_send(connection& to, const char* data, std::size_t size, unsigned buffer) {
    io_uring_sqe* const request = ::io_uring_get_sqe(&ring);
    // Without MSG_WAITALL a short send would be a success, too.
    ::io_uring_prep_send(request, to.descriptor, data, size, MSG_DONTWAIT | MSG_WAITALL | MSG_NOSIGNAL);
    request->flags |= IOSQE_CQE_SKIP_SUCCESS;
    request->user_data = attempts.size() * kinds | of_attempt;
    attempts.push_back({&to, data, size, buffer});
    to.attempting = true;
}

void send_kept(connection& to) {
    to.sending.swap(to.kept);
    io_uring_sqe* const request = ::io_uring_get_sqe(&ring);
    ::io_uring_prep_send(request, to.descriptor, to.sending.data(), to.sending.size(),
                         MSG_WAITALL | MSG_NOSIGNAL);
    request->user_data = tag(of_send, to);
}

void close(connection& which) {
    io_uring_sqe* const request = ::io_uring_get_sqe(&ring);
    ::io_uring_prep_close(request, which.descriptor);
    request->flags |= IOSQE_CQE_SKIP_SUCCESS;
    request->user_data = of_nothing;
    out_of_descriptors = false;
    delete &which;
}

// --- what has happened -------------------------------------------------------------------------------------

void see_to(connection& which) {
    if (!std::exchange(which.in_todo, true)) todo.push_back(&which);
}

void breaks(connection& which) {
    ::shutdown(which.descriptor, SHUT_RDWR);  // so that what is under way ends, too
    which.ended = true;
    which.kept.clear();
    see_to(which);
}

void accepted(const io_uring_cqe& what) {
    accepting = what.flags & IORING_CQE_F_MORE;
    if (what.res >= 0) see_to(*new connection{what.res});
    if (what.res == -EMFILE || what.res == -ENFILE) out_of_descriptors = true;  // until one is closed
}

/// Straight from the buffer, if nothing of that connection is on its way already: what is sent stays in order.
void echo(connection& to, const char* data, std::size_t size, unsigned buffer) {
    if (!to.attempting && to.idle() && !to.ended && has_room())
        return attempt_send(to, data, size, buffer);
    if (!to.ended) to.kept.append(data, size);
    release(buffer);
    see_to(to);
}

void received(connection& from, const io_uring_cqe& what) {
    if (what.res > 0) {
        const unsigned buffer = what.flags >> IORING_CQE_BUFFER_SHIFT;
        const auto size = static_cast<std::size_t>(what.res);
        const char* const data = buffers[buffer] + std::exchange(filled[buffer], filled[buffer] + size);
        if (what.flags & IORING_CQE_F_BUF_MORE) ++users[buffer];  // else this one follows the kernel
        echo(from, data, size, buffer);
    }
    if (what.flags & IORING_CQE_F_MORE) return;
    from.receiving = false;
    if (what.res == 0) from.ended = true;
    if (what.res < 0 && what.res != -ENOBUFS) breaks(from);
    see_to(from);
}

void fell_short(const attempt& of, int result) {
    if (result < 0 && result != -EAGAIN) return breaks(*of.to);
    const auto sent = static_cast<std::size_t>(result > 0 ? result : 0);
    of.to->kept.insert(0, of.data + sent, of.size - sent);
    see_to(*of.to);
}

void kept_sent(connection& to, int result) {
    const bool all = result == static_cast<int>(to.sending.size());
    std::string{}.swap(to.sending);
    all ? see_to(to) : breaks(to);
}

void happened(const io_uring_cqe& what) {
    const std::uint64_t rest = what.user_data / kinds;
    auto* const of = reinterpret_cast<connection*>(rest * kinds);
    switch (what.user_data % kinds) {
    case of_accept: return accepted(what);
    case of_receive: return received(*of, what);
    case of_attempt: return fell_short(tried[rest], what.res);
    case of_send: return kept_sent(*of, what.res);
    }
}

/// False if it is to be seen to again in the next turn, because an attempt that succeeds will not say so.
bool attend(connection& to) {
    const bool idle = to.idle();
    if (idle && !to.receiving && !to.ended) receive(to);
    if (to.attempting && (!idle || to.ended)) return false;
    to.in_todo = false;
    if (!to.kept.empty() && to.sending.empty()) send_kept(to);
    if (idle && !to.receiving) close(to);
    return true;
}

void take_turn() {
    attempts.swap(tried);
    for (const attempt& each : tried) each.to->attempting = false;
    // Who fell short says so before there is anything new of that connection: io_uring_enter first submits.
    do {
        unsigned head;
        unsigned count = 0;
        io_uring_cqe* cqe;
        io_uring_for_each_cqe(&ring, head, cqe) {
            happened(*cqe);
            ++count;
        }
        ::io_uring_cq_advance(&ring, count);
    } while (::io_uring_cq_has_overflow(&ring) && ::io_uring_get_events(&ring) >= 0);
    for (const attempt& each : tried) release(each.buffer);
    tried.clear();
    std::erase_if(todo, [](connection* each) { return has_room() && attend(*each); });
    if (!accepting && !out_of_descriptors) accept();
}

}  // namespace

int main() {
    io_uring_params wanted{};
    wanted.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL |
                   IORING_SETUP_CQSIZE;
    wanted.cq_entries = 16 * 1024;  // 8,000 connections, twice
    if (::io_uring_queue_init_params(2048, &ring, &wanted) < 0) std::abort();
    ::io_uring_register_ring_fd(&ring);
    buffer_queue =
        static_cast<io_uring_buf_ring*>(std::aligned_alloc(4096, 4096));  // more than it takes
    io_uring_buf_reg queue{
        reinterpret_cast<std::uintptr_t>(buffer_queue), buffer_count, 0, IOU_PBUF_RING_INC, {}};
    if (::io_uring_register_buf_ring(&ring, &queue, 0) < 0) std::abort();
    ::io_uring_buf_ring_init(buffer_queue);
    for (unsigned i = 0; i < buffer_count; ++i) give(i);
    for (;;) {
        take_turn();
        const int outcome = ::io_uring_submit_and_wait(&ring, todo.empty() ? 1 : 0);
        if ((outcome < 0 && outcome != -EINTR) || ::io_uring_sq_ready(&ring) > 0) std::abort();
    }
}
