// The double that sys/event.h describes. A queue holds knotes by (ident, filter), as the kernels do, and a
// list of those that something happened to; a scan runs their filters again and takes out what does not
// hold any more. What happened it learns from three edge-triggered epoll sets, one a filter, and what holds
// from poll(2).
//
// A knote ends with its descriptor number. So the programs that use the double are linked with
// --wrap=close, dup2 and dup3: those see a descriptor end before it does. A fork leaves the queues behind:
// pthread_atfork takes them from the child.
//
// Weaker than the real one: a close by other means is not seen (close_range, the C library's own), a
// vfork is none; `data` is 0 or 1 where Linux has no number; fflags says ECONNRESET for any error, since
// to ask which one would take it from the socket; of Unix sockets a local shutdown(SHUT_WR) is not seen;
// a listener shows no error; nobody waits for a file to grow.
#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/event.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

extern "C" {
int __real_close(int descriptor);
int __real_dup2(int from, int to);
int __real_dup3(int from, int to, int flags);
}

namespace {

using std::chrono::nanoseconds;
using clock_type = std::chrono::steady_clock;

// --- what a filter sees ----------------------------------------------------------------------------

enum class kind { file, device, socket, other };

kind kind_of(int descriptor) {
    struct stat status{};
    if (::fstat(descriptor, &status) < 0) return kind::other;
    if (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode) || S_ISBLK(status.st_mode))
        return kind::file;
    if (S_ISSOCK(status.st_mode)) return kind::socket;
    return S_ISCHR(status.st_mode) && !::isatty(descriptor) ? kind::device : kind::other;
}

/// What a filter says of its descriptor now.
struct verdict {
    bool holds = false;
    bool eof = false;
    unsigned fflags = 0;
    intptr_t data = 0;
};

unsigned polled(int descriptor) {
    pollfd seen{descriptor, POLLIN | POLLOUT | POLLPRI | POLLRDHUP, 0};
    return ::poll(&seen, 1, 0) > 0 ? static_cast<unsigned short>(seen.revents) : 0U;
}

intptr_t bytes(int descriptor) {
    int waiting = 0;
    return ::ioctl(descriptor, FIONREAD, &waiting) == 0 ? waiting : 0;
}

/// Whether the local end of a TCP connection was shut down for writing.
bool has_sent_its_end(int descriptor) {
    tcp_info info{};
    socklen_t size = sizeof info;
    if (::getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size) < 0) return false;
    switch (info.tcpi_state) {
    case TCP_FIN_WAIT1:
    case TCP_FIN_WAIT2:
    case TCP_CLOSING:
    case TCP_LAST_ACK:
    case TCP_TIME_WAIT: return true;
    default: return false;
    }
}

verdict of_file(int descriptor, int filter) {
    struct stat status{};
    ::fstat(descriptor, &status);
    // "Returns when the file pointer is not at the end of file."
    const intptr_t left = status.st_size - ::lseek(descriptor, 0, SEEK_CUR);
    return {filter == EVFILT_READ && left != 0, false, 0, left};
}

verdict of_socket(int descriptor, int filter) {
    const unsigned seen = polled(descriptor);
    verdict says;
    // A hang-up without the end of reading is Linux's word for a stream that was never connected.
    const bool cannot_receive = (seen & POLLRDHUP) != 0;
    const bool cannot_send = (cannot_receive && (seen & POLLHUP) != 0) || has_sent_its_end(descriptor);
    const unsigned error = seen & POLLERR ? ECONNRESET : 0;
    if (filter == EVFILT_EXCEPT && seen & POLLPRI) {
        says = {true, false, NOTE_OOB, 1};
    } else if (filter == EVFILT_WRITE ? cannot_send : cannot_receive) {
        says = {true, true, error, 0};
    } else if (filter == EVFILT_READ) {
        says.holds = (seen & (POLLIN | POLLERR)) != 0;  // an error without an end: a datagram's
    } else if (filter == EVFILT_WRITE) {
        says.holds = (seen & (POLLOUT | POLLERR)) != 0 && (seen & POLLHUP) == 0;
    }
    if (filter == EVFILT_READ) says.data = bytes(descriptor);  // "while there is still data pending"
    return says;
}

/// Pipes, FIFOs, terminals.
verdict of_other(int descriptor, int filter) {
    const unsigned seen = polled(descriptor);
    const int mode = ::fcntl(descriptor, F_GETFL) & O_ACCMODE;
    if (filter == EVFILT_READ)
        return {mode != O_WRONLY && (seen & (POLLIN | POLLHUP)) != 0, (seen & POLLHUP) != 0, 0,
                bytes(descriptor)};
    return {mode != O_RDONLY && (seen & (POLLOUT | POLLERR)) != 0, (seen & (POLLERR | POLLHUP)) != 0, 0,
            1};
}

// --- queues ----------------------------------------------------------------------------------------

using name = std::pair<int, int>;  // ident, filter

struct knote {
    uint16_t flags = 0;
    uint32_t asked = 0;
    void* udata = nullptr;
    kind what = kind::other;
    bool disabled = false;
    bool queued = false;
};

constexpr int filter_count = 3;
constexpr int filters[filter_count] = {EVFILT_READ, EVFILT_WRITE, EVFILT_EXCEPT};
constexpr uint32_t watched[filter_count] = {EPOLLIN | EPOLLRDHUP, EPOLLOUT, EPOLLPRI | EPOLLRDHUP};

int index_of(int filter) {
    return static_cast<int>(std::find(filters, filters + filter_count, filter) - filters);
}

/// Out of the way of the numbers that the tests count.
int moved_up(int descriptor) {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    const auto highest = static_cast<int>(std::min<rlim_t>(limit.rlim_cur, 32'768));
    const int moved = ::fcntl(descriptor, F_DUPFD_CLOEXEC, std::max(highest - 512, 0));
    if (moved < 0) return descriptor;
    __real_close(descriptor);
    return moved;
}

class queue {
  public:
    /// The queue's own descriptor is the first set's. Throws errno.
    queue() {
        for (int& set : sets_) {
            set = ::epoll_create1(&set == sets_ ? 0 : EPOLL_CLOEXEC);
            if (set < 0) {
                const int why = errno;
                close_all();
                throw why;
            }
            if (&set != sets_) set = moved_up(set);
        }
    }
    queue(const queue&) = delete;
    queue& operator=(const queue&) = delete;
    ~queue() { close_all(); }

    int descriptor() const { return sets_[0]; }
    /// Somebody else closes that one.
    void give_up_descriptor() { sets_[0] = -1; }

    /// kqueue_register: 0, or the error.
    int apply(const struct kevent& change) {
        const int ident = static_cast<int>(change.ident);
        const int index = index_of(change.filter);
        if (index == filter_count) return EINVAL;
        const int status = ::fcntl(ident, F_GETFL);
        if (status < 0 || status & O_PATH) return EBADF;
        auto found = knotes_.find({ident, change.filter});
        bool added = false;
        if (change.flags & EV_ADD) {
            if (found == knotes_.end()) {
                knote fresh;
                fresh.what = kind_of(ident);
                fresh.flags = change.flags & (EV_ONESHOT | EV_CLEAR | EV_DISPATCH);
                found = knotes_.emplace(name{ident, change.filter}, fresh).first;
                if (const int refused = attach(ident, change.filter, fresh.what); refused != 0) {
                    knotes_.erase(found);
                    return refused;
                }
                added = true;
            }
            found->second.asked = change.fflags;
            found->second.udata = change.udata;
        }
        if (found == knotes_.end()) return ENOENT;
        if (change.flags & EV_DELETE) {
            detach(found);
            return 0;
        }
        if (change.flags & EV_DISABLE) found->second.disabled = true;
        if (change.flags & EV_ENABLE) found->second.disabled = false;
        try {
            activate(found);  // the filter looks when a scan comes by
        } catch (...) {
            if (added) detach(found);  // or it would be there, and nobody know of it
            throw;
        }
        return 0;
    }

    int scan(struct kevent* eventlist, int nevents) {
        for (int i = 0; i < filter_count; ++i) take_news(i);
        int count = 0;
        for (auto left = active_.size(); left > 0 && count < nevents; --left) {
            const name next = active_.front();
            active_.pop_front();
            const auto found = knotes_.find(next);
            if (found == knotes_.end()) continue;
            knote& note = found->second;
            note.queued = false;
            if (note.disabled) continue;
            const verdict says = ask(next, note.what);
            if (!says.holds) continue;
            struct kevent& event = eventlist[count++];
            event.ident = static_cast<uintptr_t>(next.first);
            event.filter = static_cast<int16_t>(next.second);
            event.flags = static_cast<uint16_t>(note.flags | (says.eof ? EV_EOF : 0));
            event.fflags = says.fflags;
            event.data = says.data;
            event.udata = note.udata;
            if (note.flags & EV_ONESHOT)
                detach(found);
            else if (note.flags & EV_DISPATCH)
                note.disabled = true;
            else if (!(note.flags & EV_CLEAR))
                activate(found);  // level-triggered: to the end of the list, so that it is fair
        }
        return count;
    }

    std::array<pollfd, filter_count> news() const {
        return {{{sets_[0], POLLIN, 0}, {sets_[1], POLLIN, 0}, {sets_[2], POLLIN, 0}}};
    }

    /// A descriptor is about to end.
    void forget(int ident) {
        for (const int filter : filters)
            if (const auto found = knotes_.find({ident, filter}); found != knotes_.end()) detach(found);
    }

  private:
    using note_iterator = std::map<name, knote>::iterator;

    int attach(int ident, int filter, kind what) {
        // A queue may be in a queue, even in itself: kqueue_kqfilter, FreeBSD.
        if (ident == descriptor()) return filter == EVFILT_READ ? 0 : EINVAL;
        if (what == kind::device)
            return EINVAL;  // macOS: "it will not allow the filter to be attached"
        if (what == kind::file)
            return filter == EVFILT_READ ? 0 : EINVAL;  // "not supported for vnodes"
        if (filter == EVFILT_EXCEPT && what != kind::socket) return EINVAL;
        // The other end of the pipe has been closed: sys_pipe.c of macOS and of the BSDs; mio#582.
        if (filter == EVFILT_WRITE && what == kind::other && polled(ident) & POLLERR) return EPIPE;
        epoll_event interest{};
        interest.events = watched[index_of(filter)] | EPOLLET;
        interest.data.fd = ident;
        if (::epoll_ctl(sets_[index_of(filter)], EPOLL_CTL_ADD, ident, &interest) == 0) return 0;
        return errno;
    }

    void detach(note_iterator which) {
        const auto [ident, filter] = which->first;
        if (which->second.what != kind::file)
            ::epoll_ctl(sets_[index_of(filter)], EPOLL_CTL_DEL, ident, nullptr);
        if (which->second.queued) active_.remove(which->first);
        knotes_.erase(which);
    }

    void activate(note_iterator which) {
        if (which->second.queued) return;
        active_.push_back(which->first);
        which->second.queued = true;
    }

    void take_news(int index) {
        epoll_event seen[64];
        for (int got = 64; got == 64;) {
            got = ::epoll_wait(sets_[index], seen, 64, 0);
            for (int i = 0; i < got; ++i) {
                const int ident = seen[i].data.fd;
                const auto found = knotes_.find({ident, filters[index]});
                if (found != knotes_.end()) activate(found);
            }
        }
    }

    static verdict ask(const name& which, kind what) {
        if (what == kind::file) return of_file(which.first, which.second);
        if (what == kind::socket) return of_socket(which.first, which.second);
        return of_other(which.first, which.second);
    }

    void close_all() {
        for (int& set : sets_)
            if (set >= 0) __real_close(std::exchange(set, -1));
    }

    int sets_[filter_count] = {-1, -1, -1};
    std::map<name, knote> knotes_;
    std::list<name> active_;
};

std::mutex guard;
std::map<int, std::unique_ptr<queue>>& queues() {
    static auto* all = new std::map<int, std::unique_ptr<queue>>;  // outlives everybody's destructors
    return *all;
}

/// "The queue is not inherited by a child created with fork(2)."
[[maybe_unused]] const int watching_forks = pthread_atfork([] { guard.lock(); }, [] { guard.unlock(); },
                                                           [] {
                                                               queues().clear();
                                                               guard.unlock();
                                                           });

void forget(int descriptor) {
    if (const auto found = queues().find(descriptor); found != queues().end()) {
        found->second->give_up_descriptor();
        queues().erase(found);
    }
    for (auto& [number, each] : queues()) each->forget(descriptor);
}

int failed(int why) {
    errno = why;
    return -1;
}

/// How much of the time is left; nothing if there is no end to it.
struct deadline {
    explicit deadline(const timespec* timeout) : limited{timeout != nullptr} {
        if (limited) end += std::chrono::seconds{timeout->tv_sec} + nanoseconds{timeout->tv_nsec};
    }
    nanoseconds left() const { return end - clock_type::now(); }
    bool limited;
    clock_type::time_point end = clock_type::now();
};

/// Makes one call fail: SELECTORS_TEST_KEVENT=kqueue:24:2 the second kqueue with error 24. `change` is a
/// kevent with changes, of which the first is refused, `wait` one without. True if it is to fail now.
bool fails(const std::string& call) {
    static const std::string asked = [] {
        const char* text = std::getenv("SELECTORS_TEST_KEVENT");
        return std::string{text ? text : ""};
    }();
    if (asked.rfind(call + ":", 0) != 0) return false;
    static long left = std::atol(asked.c_str() + asked.rfind(':') + 1);
    errno = std::atoi(asked.c_str() + call.size() + 1);
    return --left == 0;
}

int kevent_in(int number, const struct kevent* changelist, int nchanges, struct kevent* eventlist,
              int nevents, const timespec* timeout) {
    std::unique_lock lock{guard};
    const auto found = queues().find(number);
    if (found == queues().end()) return failed(EBADF);
    queue& own = *found->second;
    // itimerfix, macOS and DragonFly.
    if (timeout && (timeout->tv_sec < 0 || timeout->tv_sec > 100'000'000 || timeout->tv_nsec < 0 ||
                    timeout->tv_nsec >= 1'000'000'000))
        return failed(EINVAL);
    if (nchanges == 0 && fails("wait")) return -1;
    const bool refused = nchanges > 0 && fails("change");
    const int why = errno;
    int receipts = 0;
    for (int i = 0; i < nchanges; ++i) {
        const struct kevent change = changelist[i];  // the arrays may be the same
        const int error = refused && i == 0 ? why : own.apply(change);
        if (error == 0 && !(change.flags & EV_RECEIPT)) continue;
        if (receipts == nevents) return error == 0 ? 0 : failed(error);
        eventlist[receipts] = change;
        eventlist[receipts].flags = EV_ERROR;
        eventlist[receipts++].data = error;
    }
    if (receipts > 0 || nevents == 0)
        return receipts;  // no room: returns at once, whatever the timeout

    const deadline until{timeout};
    for (;;) {
        if (const int count = own.scan(eventlist, nevents); count > 0) return count;
        timespec left{};
        if (until.limited) {
            const nanoseconds rest = until.left();
            if (rest <= nanoseconds::zero()) return 0;
            left = {static_cast<time_t>(rest.count() / 1'000'000'000),
                    static_cast<long>(rest.count() % 1'000'000'000)};
        }
        auto news = own.news();
        lock.unlock();
        const int woken = ::ppoll(news.data(), news.size(), until.limited ? &left : nullptr, nullptr);
        const int interrupted = errno;
        lock.lock();
        if (woken < 0) return failed(interrupted);
    }
}

}  // namespace

extern "C" {

int kqueue() {
    const std::lock_guard lock{guard};
    try {
        if (fails("kqueue")) return -1;
        auto made = std::make_unique<queue>();
        const int number = made->descriptor();
        queues()[number] = std::move(made);
        return number;
    } catch (int why) {
        return failed(why);
    } catch (const std::bad_alloc&) {
        return failed(ENOMEM);
    }
}

int kevent(int number, const struct kevent* changelist, int nchanges, struct kevent* eventlist,
           int nevents, const struct timespec* timeout) {
    try {
        return kevent_in(number, changelist, nchanges, eventlist, nevents, timeout);
    } catch (const std::bad_alloc&) {
        return failed(ENOMEM);
    }
}

int __wrap_close(int descriptor);
int __wrap_dup2(int from, int to);
int __wrap_dup3(int from, int to, int flags);

int __wrap_close(int descriptor) {
    const std::lock_guard lock{guard};
    forget(descriptor);
    return __real_close(descriptor);
}

int __wrap_dup2(int from, int to) {
    const std::lock_guard lock{guard};
    if (from != to && ::fcntl(from, F_GETFD) >= 0) forget(to);
    return __real_dup2(from, to);
}

int __wrap_dup3(int from, int to, int flags) {
    const std::lock_guard lock{guard};
    if (from != to && ::fcntl(from, F_GETFD) >= 0) forget(to);
    return __real_dup3(from, to, flags);
}
}
