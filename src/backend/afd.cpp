// AFD, the driver under Winsock, Windows 8 and later: what select() asks there, asked directly. A poll
// is an ioctl that completes, once, when its socket is ready; the completions of any number of polls come
// through one port. Microsoft documents none of it; it is what wepoll, libuv, mio and .NET stand on.
//
// Level-triggered, because every wait begins with polling anew whatever was told by the last one. A poll
// under way is left alone, and what it says counts only if it says so during a wait: what completed
// between two waits the caller may have consumed since, so it is polled anew as well.
#include <algorithm>
#include <array>
#include <atomic>
#include <limits>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include <mswsock.h>
#include <winternl.h>

#include "backend/mechanisms.hpp"
#include "system/net_headers.hpp"
#include "system/system.hpp"

extern "C" NTSTATUS NTAPI NtCancelIoFileEx(HANDLE file, IO_STATUS_BLOCK* of, IO_STATUS_BLOCK* status);

namespace selectors {
namespace {

using std::chrono::nanoseconds;

// --- the driver's interface ----------------------------------------------------------------------

constexpr ULONG afd_poll = 0x0001'2024;  // IOCTL_AFD_POLL

enum : ULONG {
    afd_receive = 0x001,
    afd_receive_expedited = 0x002,
    afd_send = 0x004,
    afd_disconnect = 0x008,  // the peer has finished sending
    afd_abort = 0x010,       // reset
    afd_local_close = 0x020,
    afd_accept = 0x080,
    afd_connect_fail = 0x100,
};

struct afd_poll_handle {
    HANDLE handle;
    ULONG events;
    NTSTATUS status;
};

struct afd_poll_info {
    LARGE_INTEGER timeout;
    ULONG handle_count;
    ULONG exclusive;  ///< ends every other poll of the socket
    afd_poll_handle handles[1];
};

/// Cancelling walks all polls of a handle: few of them each (trio#1280, wepoll).
constexpr unsigned most_sockets_per_device = 32;

constexpr NTSTATUS cancelled = static_cast<NTSTATUS>(0xC000'0120);     // STATUS_CANCELLED
constexpr NTSTATUS invalid = static_cast<NTSTATUS>(0xC000'0008);       // STATUS_INVALID_HANDLE
constexpr NTSTATUS another_type = static_cast<NTSTATUS>(0xC000'0024);  // STATUS_OBJECT_TYPE_MISMATCH

ULONG asked_for(event interest) noexcept {
    ULONG events = afd_abort | afd_connect_fail | afd_local_close;
    if (interest & event::read) events |= afd_receive | afd_accept | afd_disconnect;
    if (interest & event::write) events |= afd_send;
    if (interest & event::priority) events |= afd_receive_expedited;
    return events;
}

event told_by(ULONG events) noexcept {
    event told;
    if (events & (afd_receive | afd_accept | afd_disconnect)) told |= event::read;
    if (events & afd_send) told |= event::write;
    if (events & afd_receive_expedited) told |= event::priority;
    if (events & (afd_abort | afd_connect_fail)) told |= event::error | event::hangup;
    return told;
}

struct closer {
    void operator()(HANDLE handle) const noexcept { ::CloseHandle(handle); }
};
using owned_handle = std::unique_ptr<void, closer>;

std::system_error refusal(const char* call, NTSTATUS status) {
    return {sys::error_from(static_cast<int>(::RtlNtStatusToDosError(status))), call};
}

/// The socket that the driver knows. A layered provider may have put its own over it (an LSP); and some
/// of those don't pass on the question either, but the one that select() asks (wepoll, mio#1314).
SOCKET base_of(SOCKET socket) noexcept {
    const auto ask = [](SOCKET of, DWORD what) {
        SOCKET found = INVALID_SOCKET;
        DWORD size = 0;
        const int outcome =
            ::WSAIoctl(of, what, nullptr, 0, &found, sizeof found, &size, nullptr, nullptr);
        return outcome == 0 ? found : INVALID_SOCKET;
    };
    constexpr DWORD base_handle = _WSAIOR(IOC_WS2, 34);
    constexpr DWORD handle_for_select = _WSAIOR(IOC_WS2, 28);
    constexpr DWORD handle_for_poll = _WSAIOR(IOC_WS2, 29);
    SOCKET base = ask(socket, base_handle);
    for (const DWORD another : {handle_for_select, handle_for_poll}) {
        if (base != INVALID_SOCKET) break;
        const SOCKET below = ask(socket, another);
        if (below != INVALID_SOCKET && below != socket) base = ask(below, base_handle);
    }
    return base;
}

// --- what there is of each descriptor -------------------------------------------------------------

/// \Device\Afd, opened; its completions go to the port.
struct device {
    owned_handle file;
    unsigned users = 0;
};

/// Where a watch is.
enum class stage : std::uint8_t {
    spare,      ///< nobody's
    at_rest,    ///< a spent oneshot; closed in the bag
    due,        ///< to be polled by this wait, or by the next if there is no room
    told,       ///< due with the next wait
    under_way,  ///< polled; the driver writes into it until its completion was taken from the port
};
constexpr std::size_t stages = 5;

struct watch {
    IO_STATUS_BLOCK status;
    afd_poll_info request;
    registration wanted;
    SOCKET base;
    device* via;
    std::list<watch>::iterator self;
    stage at;
    bool fresh;      ///< changed, and not polled since: should the driver refuse, that is told
    bool withdrawn;  ///< its poll was cancelled
    bool forgotten;  ///< and it was removed: its completion is nobody's
};

class afd_backend final : public backend {
  public:
    /// Opens the driver, too: where it cannot be had is found here.
    afd_backend() : port_{::CreateIoCompletionPort(INVALID_HANDLE_VALUE, nullptr, 0, 1)} {
        if (!port_) throw std::system_error(sys::last_error(), "CreateIoCompletionPort");
        open_device();
    }
    afd_backend(const afd_backend&) = delete;
    afd_backend& operator=(const afd_backend&) = delete;

    ~afd_backend() override {
        afd_backend::reopen();
        // The driver writes into what is under way.
        while (!in(stage::under_way).empty())
            for (const OVERLAPPED_ENTRY& each : take(seen_.size(), INFINITE))
                if (each.lpOverlapped) conclude(watch_of(each));
    }

    const char* name() const noexcept override { return "afd"; }
    bool supports(trigger mode) const noexcept override {
        return mode == trigger::level || mode == trigger::oneshot;
    }

    admission add(const registration& wanted) override {
        // Asked of sockets, too, that are somebody's: that a poll finds one closed says nothing of when.
        if (!sys::is_open(wanted.descriptor))
            throw std::system_error(sys::error_of(std::errc::bad_file_descriptor),
                                    std::string{sys::status_call} + " of descriptor " +
                                        std::to_string(wanted.descriptor));
        if (wanted.slot >= watches_.size()) watches_.resize(wanted.slot + 1);
        if (with_room_.empty()) open_device();
        if (in(stage::spare).empty()) in(stage::spare).emplace_back();

        watch& w = in(stage::spare).front();
        w.wanted = wanted;
        w.base = INVALID_SOCKET;
        w.via = with_room_.back();
        if (++w.via->users == most_sockets_per_device) with_room_.pop_back();
        w.self = in(stage::spare).begin();
        w.at = stage::spare;
        w.fresh = w.withdrawn = w.forgotten = false;
        move(w, stage::due);
        watches_[wanted.slot] = &w;
        return admission::watched;
    }

    void modify(const registration& wanted) override {
        watch& w = *watches_[wanted.slot];
        w.wanted = wanted;
        w.fresh = true;
        if (w.at == stage::under_way)
            withdraw(w);
        else
            move(w, stage::due);
    }

    bool remove(const registration& known) noexcept override {
        if (watch* w = std::exchange(watches_[known.slot], nullptr)) forget(*w);
        return true;  // a poll is withdrawn by its own name, whatever became of the socket's
    }

    std::size_t wait(std::span<notice> room, nanoseconds timeout) override {
        using time_point = std::chrono::steady_clock::time_point;
        const time_point now = sys::now();
        const time_point deadline =
            timeout < time_point::max() - now ? now + timeout : time_point::max();
        room_ = room;
        count_ = 0;
        woken_ = false;
        poll_anew();
        for (;;) {
            start_polls();
            const std::size_t most = std::min(seen_.size(), room_.size() - count_);
            const auto seen = take(most, patience(timeout, deadline));
            for (const OVERLAPPED_ENTRY& each : seen)
                if (!each.lpOverlapped)
                    answer();
                else if (const event told = conclude(watch_of(each)))
                    tell(watch_of(each), told);
            if (count_ == room_.size()) break;
            const bool more = !seen.empty() && seen.size() == most;
            if (more || withdrawals_ > 0 || !in(stage::due).empty()) continue;
            if (count_ > 0 || woken_ || (timeout >= nanoseconds::zero() && sys::now() >= deadline))
                break;
        }
        return count_;
    }

    /// A packet at a time: each is memory of the kernel's until it is taken.
    void wake() noexcept override {
        if (rung_.exchange(true)) return;
        const DWORD saved = ::GetLastError();
        if (!::PostQueuedCompletionStatus(port_.get(), 0, 0, nullptr)) rung_.store(false);
        ::SetLastError(saved);
    }

    /// The port stays: anybody may be ringing.
    void reopen() override {
        for (watch*& each : watches_)
            if (each) forget(*std::exchange(each, nullptr));
    }

  private:
    std::list<watch>& in(stage which) noexcept { return lists_[static_cast<std::size_t>(which)]; }

    void move(watch& w, stage to) noexcept {
        in(to).splice(in(to).end(), in(w.at), w.self);
        w.at = to;
    }

    static watch& watch_of(const OVERLAPPED_ENTRY& completion) noexcept {
        return *reinterpret_cast<watch*>(completion.lpOverlapped);
    }

    void open_device() {
        wchar_t path[] = L"\\Device\\Afd\\selectors";  // what follows the driver's name is anybody's
        UNICODE_STRING name{sizeof path - sizeof path[0], sizeof path, path};
        OBJECT_ATTRIBUTES about{};
        about.Length = sizeof about;
        about.ObjectName = &name;
        IO_STATUS_BLOCK status{};
        HANDLE file = nullptr;
        const NTSTATUS opened =
            ::NtCreateFile(&file, SYNCHRONIZE, &about, &status, nullptr, 0,
                           FILE_SHARE_READ | FILE_SHARE_WRITE, FILE_OPEN, 0, nullptr, 0);
        if (opened < 0) throw refusal("NtCreateFile of \\Device\\Afd", opened);
        auto made = std::make_unique<device>(owned_handle{file});
        if (!::CreateIoCompletionPort(file, port_.get(), 0, 0))
            throw std::system_error(sys::last_error(), "CreateIoCompletionPort");
        ::SetFileCompletionNotificationModes(file, FILE_SKIP_SET_EVENT_ON_HANDLE);
        with_room_.reserve(devices_.size() + 1);  // for all
        devices_.reserve(devices_.size() + 1);
        with_room_.push_back(made.get());
        devices_.insert(std::ranges::upper_bound(devices_, file, {}, &file_of), std::move(made));
    }

    static HANDLE file_of(const std::unique_ptr<device>& of) noexcept { return of->file.get(); }

    /// Ours are nobody's: one may have the number of a key that was closed in the bag; and who polls a
    /// device as if it were a socket brings wine 8 down.
    bool is_own(native_handle number) const noexcept {
        return std::ranges::binary_search(devices_, reinterpret_cast<HANDLE>(number), {}, &file_of);
    }

    // --- one poll --------------------------------------------------------------------------------

    void poll(watch& w) {
        if (w.base == INVALID_SOCKET) w.base = base_of(w.wanted.descriptor);
        w.request = {};
        w.request.timeout.QuadPart = std::numeric_limits<LONGLONG>::max();
        w.request.handle_count = 1;
        w.request.handles[0] = {reinterpret_cast<HANDLE>(w.base), asked_for(w.wanted.interest), 0};
        const NTSTATUS status =
            w.base == INVALID_SOCKET || is_own(w.base)
                ? invalid
                : ::NtDeviceIoControlFile(w.via->file.get(), nullptr, nullptr, &w, &w.status, afd_poll,
                                          &w.request, sizeof w.request, &w.request, sizeof w.request);
        if (status >= 0) {  // also where it is ready at once the completion goes through the port
            w.fresh = false;
            move(w, stage::under_way);
        } else if (!w.fresh && (status == invalid || status == another_type)) {
            rest_closed(w);
        } else {
            refuse(w);
        }
    }

    void withdraw(watch& w) noexcept {
        if (std::exchange(w.withdrawn, true)) return;
        ++withdrawals_;
        // Not found means that it has completed; in either case its completion comes through the port.
        IO_STATUS_BLOCK status{};
        ::NtCancelIoFileEx(w.via->file.get(), &w.status, &status);
    }

    /// Its poll has ended. What is to be told; if nothing is, whatever follows is done.
    event conclude(watch& w) noexcept {
        if (w.forgotten) return release(w), event::none;
        const bool changed = std::exchange(w.withdrawn, false);
        withdrawals_ -= changed;
        const NTSTATUS status = w.status.Status;
        const ULONG events =
            status >= 0 && w.request.handle_count > 0 ? w.request.handles[0].events : 0;
        const event told = told_by(events) & (w.wanted.interest | event::error | event::hangup);
        if (changed)
            move(w, stage::due);
        else if (events & afd_local_close)
            rest_closed(w);
        else if (told)
            return told;
        else if (status < 0 && status != cancelled && count_ < room_.size())
            refuse(w);
        else
            move(w, stage::due);
        return event::none;
    }

    void tell(watch& w, event told) noexcept {
        room_[count_++] = {told.bits(), w.wanted.slot, w.wanted.generation};
        move(w, w.wanted.mode == trigger::oneshot ? stage::at_rest : stage::told);
    }

    /// Closed while it was in the bag: silent. Its number may be another's by the time of a change.
    void rest_closed(watch& w) noexcept {
        w.base = INVALID_SOCKET;
        move(w, stage::at_rest);
    }

    void refuse(watch& w) noexcept {
        room_[count_++] = {event::error.bits() | notice::refused, w.wanted.slot, w.wanted.generation};
        watches_[w.wanted.slot] = nullptr;
        release(w);
    }

    void forget(watch& w) noexcept {
        if (w.at != stage::under_way) return release(w);
        withdraw(w);
        --withdrawals_;  // nobody waits for it
        w.forgotten = true;
    }

    void release(watch& w) noexcept {
        if (w.via->users-- == most_sockets_per_device) with_room_.push_back(w.via);
        move(w, stage::spare);
    }

    // --- a wait ----------------------------------------------------------------------------------

    /// Whatever completed since the last wait, and whatever that one told. In this order: what had no
    /// room then comes first now.
    void poll_anew() {
        for (bool more = true; more;) {
            const auto seen = take(seen_.size(), 0);
            more = seen.size() == seen_.size();
            for (const OVERLAPPED_ENTRY& each : seen)
                if (!each.lpOverlapped)
                    answer();
                else if (watch& w = watch_of(each); conclude(w))
                    move(w, stage::due);
        }
        for (watch& each : in(stage::told)) each.at = stage::due;
        in(stage::due).splice(in(stage::due).end(), in(stage::told));
    }

    /// Whoever rings from here on rings anew.
    void answer() noexcept {
        rung_.store(false);
        woken_ = true;
    }

    /// As many as the room can take: more would only be polled again by the next wait.
    void start_polls() {
        for (auto left = room_.size() - count_; left > 0 && !in(stage::due).empty(); --left)
            poll(in(stage::due).front());
    }

    DWORD patience(nanoseconds timeout, std::chrono::steady_clock::time_point deadline) const noexcept {
        using namespace std::chrono;
        if (withdrawals_ > 0) return INFINITE;  // they are prompt
        if (count_ > 0 || woken_ || !lists_[static_cast<std::size_t>(stage::due)].empty()) return 0;
        if (timeout < nanoseconds::zero()) return INFINITE;
        if (timeout == nanoseconds::zero()) return 0;
        const auto left = ceil<milliseconds>(deadline - sys::now()).count();
        return static_cast<DWORD>(std::clamp<long long>(left, 0, INFINITE - 1));
    }

    /// Completions from the port, at most so many; none once the time is up.
    std::span<const OVERLAPPED_ENTRY> take(std::size_t most, DWORD milliseconds) {
        if (most == 0) return {};
        ULONG count = 0;
        // Wine 8 says 1 where the time is up: only what is returned can be believed.
        if (::GetQueuedCompletionStatusEx(port_.get(), seen_.data(), static_cast<ULONG>(most), &count,
                                          milliseconds, FALSE))
            return std::span{seen_}.first(count);
        if (::GetLastError() == WAIT_TIMEOUT) return {};
        throw std::system_error(sys::last_error(), "GetQueuedCompletionStatusEx");
    }

    owned_handle port_;
    std::vector<std::unique_ptr<device>> devices_;  ///< by their handles
    std::vector<device*> with_room_;                ///< of those
    std::array<std::list<watch>, stages> lists_;
    std::vector<watch*> watches_;             ///< by slot
    std::size_t withdrawals_ = 0;             ///< whose watches are due as soon as they have ended
    std::array<OVERLAPPED_ENTRY, 256> seen_;  ///< what `take` took
    std::span<notice> room_;                  ///< of the wait
    std::size_t count_ = 0;                   ///< of the notices in it
    bool woken_ = false;
    std::atomic<bool> rung_ = false;  ///< a packet of `wake` is on its way
};

}  // namespace

backend_handle make_afd() {
    return backend_handle{new afd_backend};
}

}  // namespace selectors
