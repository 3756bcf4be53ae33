// loop/signalling.hpp - signals of this process, to itself.
#pragma once

#include <csignal>
#include <cstdint>

#include "loop/loop_case.hpp"

namespace selectors::testing {

#if defined(_WIN32)

inline constexpr int first_signal = SIGINT;
inline constexpr int second_signal = SIGBREAK;
/// As the console does it, which a test may not have: Windows starts this routine in a thread of its own.
inline void send_signal(int number) {
    const auto routine = reinterpret_cast<LPTHREAD_START_ROUTINE>(
        reinterpret_cast<void*>(::GetProcAddress(::GetModuleHandleA("kernelbase.dll"), "CtrlRoutine")));
    ASSERT_TRUE(routine);
    const DWORD event = number == SIGINT ? CTRL_C_EVENT : CTRL_BREAK_EVENT;
    const HANDLE thread =
        ::CreateThread(nullptr, 0, routine, reinterpret_cast<void*>(std::uintptr_t{event}), 0, nullptr);
    ASSERT_TRUE(thread);
    ::WaitForSingleObject(thread, INFINITE);
    ::CloseHandle(thread);
}

#else

inline constexpr int first_signal = SIGUSR1;
inline constexpr int second_signal = SIGUSR2;
/// To this thread: it has come when this returns.
inline void send_signal(int number) {
    EXPECT_EQ(::raise(number), 0);
}

#endif

}  // namespace selectors::testing
