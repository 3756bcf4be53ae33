#include <cerrno>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "platform.hpp"

namespace sel = selectors;

namespace app {

void occupy_standard_descriptors() {
    int taken = ::open("/dev/null", O_RDWR);
    while (taken >= 0 && taken <= STDERR_FILENO) taken = ::dup(taken);
    if (taken > STDERR_FILENO) ::close(taken);
}

void lift_descriptor_limit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

keyboard::keyboard() : readable_{STDIN_FILENO} {}

sel::result<std::size_t> keyboard::read(std::span<char> room) const {
    const ssize_t size = ::read(STDIN_FILENO, room.data(), room.size());
    if (size >= 0) return static_cast<std::size_t>(size);
    const auto why = errno == EINTR ? std::errc::operation_would_block : static_cast<std::errc>(errno);
    return std::unexpected{make_error_code(why)};
}

}  // namespace app
