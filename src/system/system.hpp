// system/system.hpp - every call on sockets, clocks and wakers that this library makes.
//
// Thin: one function a call, the error as a result, interrupted calls begun again. posix.cpp has what
// every Unix has; linux.cpp and bsd.cpp what differs there; windows.cpp has it all for Windows. Nothing
// above includes an operating system header for sockets but to name constants.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <selectors/buffer.hpp>
#include <selectors/descriptor.hpp>
#include <selectors/result.hpp>

struct pollfd;
struct sockaddr;
struct timespec;

namespace selectors::sys {

/// What the last call that failed in this thread has left: errno as a code, or Winsock's.
std::error_code last_error() noexcept;
/// That, where a result is wanted.
inline std::unexpected<std::error_code> failure() noexcept {
    return std::unexpected{last_error()};
}
/// A number of the system's as a code: of errno, or Winsock's.
std::error_code error_from(int number) noexcept;
/// The system's own code for something that the library finds out itself.
std::error_code error_of(std::errc what) noexcept;
/// Must come before the first call that takes no descriptor; once is enough. Windows wants it.
void start() noexcept;

// --- descriptors ---------------------------------------------------------------------------------

void close(native_handle descriptor) noexcept;
/// Called, if it is not null, before this thread closes a descriptor: what must not outlive it.
using hook = void (*)() noexcept;
extern constinit thread_local hook before_close;
/// How many descriptors this thread has closed.
extern constinit thread_local unsigned closes;
/// Whether it can be waited for; a bare name of a file (O_PATH) cannot.
bool is_open(native_handle descriptor) noexcept;
/// The call behind `is_open`, and the one behind the modes, as messages name them.
extern const char* const status_call;
extern const char* const mode_call;

/// Closes what it holds.
class owned {
  public:
    explicit owned(native_handle descriptor) noexcept : descriptor_{descriptor} {}
    owned(owned&& other) noexcept : descriptor_{std::exchange(other.descriptor_, invalid_handle)} {}
    owned& operator=(owned&& other) noexcept {
        std::swap(descriptor_, other.descriptor_);
        return *this;
    }
    ~owned() {
        if (descriptor_ != invalid_handle) close(descriptor_);
    }
    native_handle get() const noexcept { return descriptor_; }
    /// Lets go of it without closing.
    native_handle release() noexcept { return std::exchange(descriptor_, invalid_handle); }

  private:
    native_handle descriptor_;
};

/// What is behind a descriptor, as far as waiting for it differs.
enum class file_kind : std::uint8_t {
    storage,  ///< a regular file, a directory, a disk: always ready
    device,   ///< a character device that is no terminal
    socket,
    other,  ///< a pipe, a terminal, whatever else; or closed
};
file_kind kind_of(native_handle descriptor) noexcept;

result<bool> is_nonblocking(native_handle descriptor) noexcept;
result<void> set_nonblocking(native_handle descriptor, bool on) noexcept;

// --- sockets: all close-on-exec, none raises SIGPIPE ---------------------------------------------

result<native_handle> open_socket(int domain, int type, bool nonblocking) noexcept;
result<std::pair<native_handle, native_handle>> open_pair(bool nonblocking) noexcept;
result<void> bind(native_handle descriptor, const sockaddr* where, std::size_t size) noexcept;
result<void> listen(native_handle descriptor, int backlog) noexcept;
/// A listening TCP socket hears no one who wants to connect from now on, as if the request were lost on its
/// way; who is half in gets in. For good: also for whoever else has the socket. Linux only.
result<void> ignore_connects(native_handle descriptor) noexcept;
/// `size`: of the room for the peer's address, then of the address.
result<native_handle> accept(native_handle descriptor, sockaddr* peer, std::size_t& size,
                             bool nonblocking) noexcept;
/// Whether accept failed because of the one connection, which is gone: the next may do.
bool is_of_peer(std::error_code accept_error) noexcept;
/// Interrupted on a blocking socket, it waits for the outcome.
result<void> connect(native_handle descriptor, const sockaddr* peer, std::size_t size) noexcept;
result<std::size_t> recv(native_handle descriptor, void* room, std::size_t size) noexcept;
result<std::size_t> send(native_handle descriptor, const void* data, std::size_t size) noexcept;
/// Of several buffers at most 1,024 are looked at: IOV_MAX, everywhere that has one.
result<std::size_t> recv(native_handle descriptor, std::span<const mutable_buffer> rooms) noexcept;
result<std::size_t> send(native_handle descriptor, std::span<const const_buffer> parts) noexcept;

struct datagram {
    std::size_t size;
    bool truncated;
};
/// `sender_size`: of the room for the sender's address, then of the address.
result<datagram> recv_from(native_handle descriptor, mutable_buffer room, sockaddr* sender,
                           std::size_t& sender_size) noexcept;
result<std::size_t> send_to(native_handle descriptor, const_buffer data, const sockaddr* peer,
                            std::size_t peer_size) noexcept;
result<void> shutdown(native_handle descriptor, int how) noexcept;
result<std::size_t> local_name(native_handle descriptor, sockaddr* room, std::size_t size) noexcept;
result<std::size_t> peer_name(native_handle descriptor, sockaddr* room, std::size_t size) noexcept;
result<void> set_option(native_handle descriptor, int level, int name, const void* value,
                        std::size_t size) noexcept;
result<std::size_t> get_option(native_handle descriptor, int level, int name, void* value,
                               std::size_t size) noexcept;

/// Binds although old connections of the port linger, and never where somebody listens.
result<void> set_reuse_address(native_handle descriptor, bool on) noexcept;
result<bool> reuse_address(native_handle descriptor) noexcept;

// --- the files of Unix sockets -------------------------------------------------------------------

bool is_socket_file(const char* path) noexcept;
void remove_file(const char* path) noexcept;

/// An advisory lock on a directory, for at most a second waited for; where it cannot be had, the work
/// goes on without it. Leaves nothing behind.
class directory_lock {
  public:
    explicit directory_lock(const char* path) noexcept;

  private:
    owned directory_;
};

// --- network interfaces: the scopes of IPv6 addresses --------------------------------------------

/// 0 if there is none of that name, at most 15 characters long.
unsigned interface_number(std::string_view name) noexcept;
/// Empty if there is none.
std::string interface_name(unsigned number);

// --- time ----------------------------------------------------------------------------------------

/// The steady clock: it stands still for nobody's wall clock.
inline std::chrono::steady_clock::time_point now() noexcept {
    return std::chrono::steady_clock::now();
}

/// ppoll(2) without a signal mask. Where there is none it counts in milliseconds, rounded up, and may
/// return early from a wait of weeks.
int poll(pollfd* first, std::size_t count, const timespec* timeout) noexcept;

// --- processes -----------------------------------------------------------------------------------

namespace detail {
extern std::atomic<unsigned> process_epoch;
}

/// Another number in a forked child than in its parent. No system call. A child that was made behind
/// the C library's back (a bare clone) is not noticed.
inline unsigned process_epoch() noexcept {
    return detail::process_epoch.load(std::memory_order_relaxed);
}
/// Called, if it is not null, in a forked child before anything there uses the library.
extern constinit std::atomic<hook> after_fork;

// --- wakers --------------------------------------------------------------------------------------

/// Something that becomes readable when anybody rings: an eventfd, or a pipe.
class waker {
  public:
    /// Throws std::system_error if there is no descriptor left.
    waker();

    /// The one to wait for.
    native_handle descriptor() const noexcept { return readable_.get(); }
    bool owns(native_handle descriptor) const noexcept {
        return descriptor == readable_.get() || descriptor == writable_.get();
    }
    /// Any thread, any signal handler; never blocks, keeps errno.
    void ring() noexcept;
    /// Makes it unreadable again.
    void drain() noexcept;

  private:
    owned readable_;
    owned writable_;  ///< the pipe's other end; an eventfd has none
};

}  // namespace selectors::sys
