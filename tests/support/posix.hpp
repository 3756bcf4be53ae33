// support/posix.hpp - what the tests want of a Unix.
#pragma once

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <selectors/event.hpp>
#include <selectors/socket.hpp>

namespace selectors::testing {

namespace platform {
inline constexpr ability forks{};
inline constexpr ability small_numbers{};
inline constexpr ability files{};
inline constexpr ability pipes{};
inline constexpr ability signals{};
inline constexpr ability descriptor_limits{};
inline constexpr ability unix_sockets{};
inline constexpr ability abstract_names{};
inline constexpr ability nested_sets{};
inline constexpr ability the_bits_of_poll{};
inline constexpr ability known_modes{};
inline constexpr ability shared_ports{};
}  // namespace platform

/// What a code of the system's for an error is: SYSTEM_ERROR(CONNRESET).
#define SYSTEM_ERROR(name) E##name
/// Those that Windows calls otherwise.
struct other_codes {
    static constexpr int try_again = EAGAIN;
    static constexpr int not_permitted = EPERM;
    static constexpr int no_files_left = ENFILE;
    static constexpr int no_memory = ENOMEM;
    static constexpr int broken_pipe = EPIPE;
    static constexpr int bad_descriptor = EBADF;
    static constexpr int io_error = EIO;
};

/// What the hang-up of a pair's other end is told as, beside what was asked for.
inline constexpr event hung_up = event::hangup;
/// Whether a pair's end hangs up when it closes.
inline constexpr bool pairs_hang_up = true;
/// Makes the other end of a pair hang up.
inline void hang_up(socket& end) {
    end.close();
}

/// Whether that is what the first recv after a reset says.
inline bool is_reset(const result<std::size_t>& got) {
    return !got && got.error() == errc::reset;
}

/// Whether that is what a send says once the other end has hung up.
inline bool is_broken(const result<std::size_t>& sent) {
    return !sent && sent.error() == errc::broken_pipe;
}

/// What the buffer of a socket that was set to so many bytes is told to have: socket(7).
inline int size_told_for(int bytes) {
    return 2 * bytes;
}

// --- descriptors ---------------------------------------------------------------------------------

inline bool is_open(native_handle descriptor) {
    return ::fcntl(descriptor, F_GETFD) >= 0;
}
inline bool is_inherited(native_handle descriptor) {
    return ::fcntl(descriptor, F_GETFD) != FD_CLOEXEC;
}
inline native_handle next_number(native_handle descriptor) {
    return descriptor + 1;
}

/// A descriptor that closes itself.
inline socket own(native_handle descriptor) {
    EXPECT_GE(descriptor, 0) << "errno " << errno;
    return socket{descriptor};
}

inline socket duplicate_of(native_handle descriptor, native_handle at_least = 0) {
    return own(::fcntl(descriptor, F_DUPFD_CLOEXEC, at_least));
}
/// Closes what has the number.
inline socket duplicate_at(native_handle descriptor, native_handle number) {
    return own(::dup3(descriptor, number, O_CLOEXEC));
}

/// Lowers the limit of this process while it lives: numbers are below it.
class descriptor_limit {
  public:
    explicit descriptor_limit(native_handle limit) {
        EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &before_), 0);
        set(limit);
    }
    descriptor_limit(const descriptor_limit&) = delete;
    descriptor_limit& operator=(const descriptor_limit&) = delete;
    ~descriptor_limit() { ::setrlimit(RLIMIT_NOFILE, &before_); }
    void set(native_handle limit) {
        rlimit tight = before_;
        tight.rlim_cur = static_cast<rlim_t>(limit);
        EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
    }

  private:
    rlimit before_{};
};

// --- pairs, without the library -------------------------------------------------------------------

struct raw_pair {
    native_handle a = invalid_handle;
    native_handle b = invalid_handle;
};
inline raw_pair make_raw_pair() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) return {};
    return {ends[0], ends[1]};
}
/// How many bytes; negative if it failed.
inline long raw_write(native_handle to, std::string_view text) {
    return ::write(to, text.data(), text.size());
}
inline long raw_read(native_handle from, char* room, std::size_t size) {
    return ::read(from, room, size);
}
inline void raw_close(native_handle descriptor) {
    ::close(descriptor);
}
/// Far from the low numbers, which are reused as a server reuses them.
inline native_handle raw_duplicate(native_handle descriptor) {
    return ::fcntl(descriptor, F_DUPFD_CLOEXEC, 1000);
}
/// What one end does the other sees at once.
inline void await_bytes(native_handle, int) {}
inline void await_end(native_handle) {}

// --- what is no socket ---------------------------------------------------------------------------

/// A file with four bytes in it, and no name.
inline socket make_file() {
    socket file = own(::open(::testing::TempDir().c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    EXPECT_EQ(::write(file.descriptor(), "text", 4), 4);
    return file;
}
inline auto size_of(const socket& file) {
    struct stat status{};
    EXPECT_EQ(::fstat(file.descriptor(), &status), 0);
    return status.st_size;
}
inline void go_to_the_end(const socket& file) {
    EXPECT_EQ(::lseek(file.descriptor(), 0, SEEK_END), size_of(file));
}
inline socket open_folder() {
    return own(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}
inline socket open_null_device() {
    return own(::open("/dev/null", O_RDWR | O_CLOEXEC));
}
/// The mere name of a file.
inline socket open_name() {
    return own(::open("/", O_PATH | O_CLOEXEC));
}

struct pipe_ends {
    socket read;
    socket write;
};
inline pipe_ends make_pipe() {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    return {own(ends[0]), own(ends[1])};
}
inline void write_to(const socket& what, std::string_view text) {
    EXPECT_EQ(::write(what.descriptor(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
}
inline void fill(const socket& pipe) {
    const std::vector<char> block(65536);
    while (::write(pipe.descriptor(), block.data(), block.size()) > 0) {
    }
}
inline socket make_counter(unsigned value) {
    return own(::eventfd(value, EFD_CLOEXEC | EFD_NONBLOCK));
}
inline socket make_timer() {
    return own(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
}
inline void start(const socket& timer, std::chrono::nanoseconds wait) {
    const itimerspec soon{{}, {0, static_cast<long>(wait.count())}};
    EXPECT_EQ(::timerfd_settime(timer.descriptor(), 0, &soon, nullptr), 0);
}
struct terminal {
    socket keyboard;
    socket program;
};
inline terminal make_terminal() {
    socket keyboard = own(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    EXPECT_EQ(::grantpt(keyboard.descriptor()), 0);
    EXPECT_EQ(::unlockpt(keyboard.descriptor()), 0);
    socket program = own(::open(::ptsname(keyboard.descriptor()), O_RDWR | O_NOCTTY | O_CLOEXEC));
    return {std::move(keyboard), std::move(program)};
}
inline socket make_fifo(const std::string& name) {
    const std::string path = ::testing::TempDir() + name + "-" + std::to_string(::getpid());
    EXPECT_EQ(::mkfifo(path.c_str(), 0600), 0);
    socket fifo = own(::open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
    ::unlink(path.c_str());
    return fifo;
}

/// Kernel sets one in the other, until the kernel refuses to nest them deeper.
inline std::vector<socket> nest_sets() {
    std::vector<socket> nested;
    for (int depth = 0; depth < 6; ++depth) {
        nested.push_back(own(::epoll_create1(EPOLL_CLOEXEC)));
        epoll_event any{};
        any.events = EPOLLIN;
        if (depth > 0 && ::epoll_ctl(nested.back().descriptor(), EPOLL_CTL_ADD,
                                     nested[nested.size() - 2].descriptor(), &any) != 0) {
            nested.pop_back();
            break;
        }
    }
    return nested;
}

// --- processes and signals -----------------------------------------------------------------------

/// A forked child that runs beside this process, and not longer: a test that hangs leaves nobody behind.
class child {
  public:
    explicit child(const std::function<bool()>& body) : process_{::fork()} {
        EXPECT_GE(process_, 0);
        if (process_ != 0) return;
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        bool fine = false;
        try {
            fine = body();
        } catch (...) {
        }
        ::_exit(fine ? 0 : 1);
    }
    /// The wait status, 0 if what the body said is true.
    int join() const {
        int status = -1;
        EXPECT_EQ(::waitpid(process_, &status, 0), process_);
        return status;
    }

  private:
    pid_t process_;
};

/// Sends SIGALRM to this process at a steady rate while it lives.
class signal_storm {
  public:
    explicit signal_storm(std::chrono::microseconds every) {
        struct sigaction action{};
        action.sa_handler = [](int) { signals = signals + 1; };
        ::sigaction(SIGALRM, &action, &before_);
        signals = 0;
        const auto period = static_cast<suseconds_t>(every.count());
        const itimerval rate{{0, period}, {0, period}};
        ::setitimer(ITIMER_REAL, &rate, nullptr);
    }
    signal_storm(const signal_storm&) = delete;
    signal_storm& operator=(const signal_storm&) = delete;
    ~signal_storm() {
        const itimerval off{};
        ::setitimer(ITIMER_REAL, &off, nullptr);
        ::sigaction(SIGALRM, &before_, nullptr);
    }
    static inline volatile std::sig_atomic_t signals = 0;

  private:
    struct sigaction before_{};
};

/// While it lives, `send` interrupts the thread that made it, which runs the handler.
class signal_to_this_thread {
  public:
    explicit signal_to_this_thread(void (*handler)(int)) : thread_{::pthread_self()} {
        struct sigaction action{};
        action.sa_handler = handler;
        EXPECT_EQ(::sigaction(SIGUSR1, &action, &before_), 0);
    }
    signal_to_this_thread(const signal_to_this_thread&) = delete;
    signal_to_this_thread& operator=(const signal_to_this_thread&) = delete;
    ~signal_to_this_thread() { ::sigaction(SIGUSR1, &before_, nullptr); }
    void send() const { ::pthread_kill(thread_, SIGUSR1); }

  private:
    pthread_t thread_;
    struct sigaction before_{};
};

inline bool sigpipe_kills() {
    struct sigaction now{};
    ::sigaction(SIGPIPE, nullptr, &now);
    return now.sa_handler == SIG_DFL;
}

inline std::string loopback_interface() {
    return "lo";
}
inline std::string abstract_name(const std::string& name) {
    return "@" + name;
}

inline long process_number() {
    return ::getpid();
}

inline void set_environment(const char* name, const char* value) {
    ::setenv(name, value, 1);
}
inline void unset_environment(const char* name) {
    ::unsetenv(name);
}

}  // namespace selectors::testing
