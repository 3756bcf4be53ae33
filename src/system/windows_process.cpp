// What Windows has of signals, which is the console's events, and of processes.
#include <climits>
#include <string>

#include <windows.h>

#include "system/process.hpp"

namespace selectors::sys {
namespace {

// --- signals -------------------------------------------------------------------------------------

constinit std::atomic<signal_handler> tell{nullptr};
constinit std::atomic<unsigned> caught{0};  ///< a bit a number

int number_of(DWORD event) noexcept {
    if (event == CTRL_C_EVENT) return SIGINT;
    return event == CTRL_BREAK_EVENT ? SIGBREAK : SIGTERM;  // else the window is closed, or the session
}

/// In a thread that the system makes for it.
BOOL WINAPI on_event(DWORD event) {
    const int number = number_of(event);
    if (!(caught.load() & 1U << number)) return FALSE;
    tell.load()(number);
    // When this returns, Windows ends the process; until then it has some seconds to end by itself.
    if (number == SIGTERM) ::Sleep(INFINITE);
    return TRUE;
}

std::error_code system_error() noexcept {
    return error_from(static_cast<int>(::GetLastError()));
}

}  // namespace

const char* why_not_catchable(int number) noexcept {
    if (number == SIGINT || number == SIGBREAK || number == SIGTERM) return nullptr;
    return "is none that Windows sends: there are SIGINT, SIGBREAK and SIGTERM";
}

/// Our handler stays for good, and lets pass what is not caught: taking it away might wait for a call of it
/// that is under way, and one never returns.
result<void> catch_signal(int number, signal_handler told) noexcept {
    static bool installed = false;
    if (!installed) {
        ::SetConsoleCtrlHandler(nullptr, FALSE);  // a parent may have had Ctrl-C ignored
        if (!::SetConsoleCtrlHandler(on_event, TRUE)) return std::unexpected{system_error()};
        installed = true;
    }
    tell.store(told);
    caught.fetch_or(1U << number);
    return {};
}

void release_signal(int number) noexcept {
    caught.fetch_and(~(1U << number));
}

/// None interrupts a thread.
signals_blocked::signals_blocked() noexcept = default;
signals_blocked::~signals_blocked() = default;

// --- processes -----------------------------------------------------------------------------------

constinit const int child_signal = 0;

process::process(std::int64_t number) : number_{number} {
    // The numbers are of 32 bits; no process has the greatest.
    const auto id = static_cast<DWORD>(number > UINT_MAX ? UINT_MAX : number);
    handle_ = ::OpenProcess(SYNCHRONIZE | PROCESS_QUERY_LIMITED_INFORMATION, FALSE, id);
    if (!handle_)
        throw std::system_error(system_error(), "OpenProcess of process " + std::to_string(number));
}

bool process::call_at_end(call told, void* with) {
    told_ = told;
    with_ = with;
    const auto ended = [](void* self, BOOLEAN) {
        const auto& of = *static_cast<process*>(self);
        of.told_(of.with_);
    };
    if (!::RegisterWaitForSingleObject(&waiting_, handle_, ended, this, INFINITE, WT_EXECUTEONLYONCE))
        throw std::system_error(system_error(), "RegisterWaitForSingleObject");
    return true;
}

void process::stop() noexcept {
    // Which waits for the call, where it is under way.
    if (waiting_) ::UnregisterWaitEx(std::exchange(waiting_, nullptr), INVALID_HANDLE_VALUE);
    if (handle_) ::CloseHandle(std::exchange(handle_, nullptr));
}

result<std::optional<exit_status>> process::look() noexcept {
    DWORD code = 0;
    if (::WaitForSingleObject(handle_, 0) != WAIT_OBJECT_0) return std::nullopt;
    if (!::GetExitCodeProcess(handle_, &code)) return std::unexpected{system_error()};
    return exit_status{static_cast<int>(code), 0};
}

}  // namespace selectors::sys
