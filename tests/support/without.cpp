// support/without_uring, support/without_pidfd - run a command as in a sandbox that knows no io_uring, as most
// containers do, or on a kernel that knows no pidfd.
//
//     without_uring ctest --test-dir build/release
//
// A seccomp filter answers the calls that are DENIED with EPERM, for the command and whatever it starts.
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <vector>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char** argv) {
    if (argc < 2) {
        std::fprintf(stderr, "%s COMMAND [ARGUMENT ...]\n", argv[0]);
        return 2;
    }
    constexpr unsigned denied[] = {DENIED};
    std::vector<sock_filter> steps{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
    for (const unsigned call : denied) {
        steps.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1));
        steps.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM));
    }
    steps.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    const sock_fprog program{static_cast<unsigned short>(steps.size()), steps.data()};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0) {
        std::perror("prctl");
        return 2;
    }
    ::execvp(argv[1], argv + 1);
    std::perror(argv[1]);
    return 2;
}
