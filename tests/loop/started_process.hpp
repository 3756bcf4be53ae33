// loop/started_process.hpp - a process of the test's that ends when it is told to.
#pragma once

#include <cstdint>

#include "loop/loop_case.hpp"

#if defined(_WIN32)
#include <string>
#else
#include <csignal>

#include <sys/wait.h>
#include <unistd.h>
#endif

namespace selectors::testing {

#if defined(_WIN32)

class started_process {
  public:
    explicit started_process(int code) {
        std::string command = "cmd.exe /c exit " + std::to_string(code);
        STARTUPINFOA how{};
        how.cb = sizeof how;
        EXPECT_TRUE(::CreateProcessA(nullptr, command.data(), nullptr, nullptr, FALSE, CREATE_SUSPENDED,
                                     nullptr, nullptr, &how, &made_));
    }
    started_process(const started_process&) = delete;
    started_process& operator=(const started_process&) = delete;
    ~started_process() {
        ::TerminateProcess(made_.hProcess, 0);
        ::CloseHandle(made_.hThread);
        ::CloseHandle(made_.hProcess);
    }
    std::int64_t number() const { return made_.dwProcessId; }
    void let_end() { ::ResumeThread(made_.hThread); }
    void await_end() { ::WaitForSingleObject(made_.hProcess, INFINITE); }

  private:
    PROCESS_INFORMATION made_{};
};

#else

/// It waits for a byte, so that nobody's descriptors that it has inherited are in the way.
class started_process {
  public:
    explicit started_process(int code) {
        EXPECT_EQ(::pipe(ends_), 0);
        process_ = ::fork();
        EXPECT_GE(process_, 0);
        if (process_ != 0) return;
        ::close(ends_[1]);  // it ends with its parent, too
        char byte;
        while (::read(ends_[0], &byte, 1) < 0) {
        }
        ::_exit(code);
    }
    started_process(const started_process&) = delete;
    started_process& operator=(const started_process&) = delete;
    ~started_process() {
        // Is still there: nobody else has reaped it.
        if (::waitpid(process_, nullptr, WNOHANG) == 0) {
            kill(SIGKILL);
            ::waitpid(process_, nullptr, 0);
        }
        ::close(ends_[0]);
        ::close(ends_[1]);
    }
    std::int64_t number() const { return process_; }
    void let_end() { EXPECT_EQ(::write(ends_[1], "!", 1), 1); }
    void kill(int signal) { EXPECT_EQ(::kill(process_, signal), 0); }
    /// Reaps nobody.
    void await_end() {
        siginfo_t about;
        EXPECT_EQ(::waitid(P_PID, static_cast<id_t>(process_), &about, WEXITED | WNOWAIT), 0);
    }
    /// Whether nobody has waited for it yet, and so may its maker.
    bool is_left() const {
        siginfo_t about;
        return ::waitid(P_PID, static_cast<id_t>(process_), &about, WEXITED | WNOHANG | WNOWAIT) == 0;
    }

  private:
    int ends_[2] = {-1, -1};
    pid_t process_ = -1;
};

#endif

}  // namespace selectors::testing
