#include "peer.hpp"

#include <utility>

#include "server.hpp"

namespace sel = selectors;

namespace app {

peer::peer(server& home, sel::socket socket, std::uint64_t number)
    : socket_{std::move(socket)}, home_{home}, number_{number} {}

void peer::send(std::string_view bytes) {
    if (dismissed_ || broken_) return;
    if (pending_.empty()) bytes.remove_prefix(send_now(bytes));
    if (broken_ || bytes.empty()) return;
    pending_ += bytes;
    note_change();
}

void peer::dismiss(std::string_view last_words) {
    if (dismissed_ || broken_) return;
    // What went before may have ended in the midst of a line: finish that one.
    const std::size_t line_end = pending_.find('\n');
    pending_.erase(line_end == pending_.npos ? pending_.size() : line_end + 1);
    send(last_words);
    dismissed_ = true;
    note_change();
}

std::size_t peer::send_now(std::string_view bytes) {
    if (bytes.empty()) return 0;
    const auto count = socket_.send(bytes);
    if (!count && count.error() != sel::errc::would_block) fail();
    sent_ += count.value_or(0);
    return count.value_or(0);
}

void peer::flush() {
    pending_.erase(0, send_now(pending_));
    if (pending_.empty()) pending_ = {};  // a burst must not keep its memory for ever
}

void peer::fail() {
    broken_ = true;
    note_change();
}

void peer::note_change() {
    if (!std::exchange(noted_, true)) home_.note_change(*this);
}

}  // namespace app
