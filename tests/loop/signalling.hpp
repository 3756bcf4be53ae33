// loop/signalling.hpp - signals of this process, to itself.
#pragma once

#include <csignal>

#include "loop/loop_case.hpp"

namespace selectors::testing {

#if defined(_WIN32)

inline constexpr int first_signal = SIGINT;
inline constexpr int second_signal = SIGBREAK;
inline void send_signal(int number) {
    EXPECT_TRUE(::GenerateConsoleCtrlEvent(number == SIGINT ? CTRL_C_EVENT : CTRL_BREAK_EVENT, 0));
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
