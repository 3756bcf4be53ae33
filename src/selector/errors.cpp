#include <stdexcept>
#include <string>

#include <selectors/callback.hpp>
#include <selectors/result.hpp>

#include "system/system.hpp"

namespace selectors {
namespace {

class errc_conditions final : public std::error_category {
  public:
    const char* name() const noexcept override { return "selectors"; }

    std::string message(int condition) const override {
        switch (static_cast<errc>(condition)) {
        case errc::would_block: return "would block: wait until it is ready";
        case errc::in_progress: return "the connect is under way: wait for write";
        case errc::refused: return "connection refused";
        case errc::reset: return "connection reset";
        case errc::broken_pipe: return "sent after the connection was shut down";
        case errc::timed_out: return "timed out";
        case errc::address_in_use: return "address in use";
        case errc::permission_denied: return "permission denied";
        case errc::too_many_descriptors: return "no descriptors left";
        case errc::out_of_memory: return "no kernel memory left";
        case errc::bad_descriptor: return "bad descriptor";
        case errc::cancelled: return "cancelled";
        case errc::busy: return "somebody else is reading or writing there";
        }
        return "unknown condition";
    }

    /// std::errc already knows every platform's codes; several of them make one of ours. What others
    /// made of the system's numbers counts as the system layer's own.
    bool equivalent(const std::error_code& given, int condition) const noexcept override {
        using enum std::errc;
        const std::error_code code =
            given.category() == std::system_category() ? sys::error_from(given.value()) : given;
        switch (static_cast<errc>(condition)) {
        case errc::would_block:
            return code == operation_would_block || code == resource_unavailable_try_again;
        case errc::in_progress:
            return code == operation_in_progress || code == connection_already_in_progress;
        case errc::refused: return code == std::errc::connection_refused;
        case errc::reset: return code == connection_reset || code == connection_aborted;
        case errc::broken_pipe: return code == std::errc::broken_pipe;
        case errc::timed_out: return code == std::errc::timed_out;
        case errc::address_in_use: return code == std::errc::address_in_use;
        case errc::permission_denied:
            return code == std::errc::permission_denied || code == operation_not_permitted;
        case errc::too_many_descriptors:
            return code == too_many_files_open || code == too_many_files_open_in_system;
        case errc::out_of_memory: return code == not_enough_memory || code == no_buffer_space;
        case errc::bad_descriptor: return code == bad_file_descriptor;
        case errc::cancelled: return code == operation_canceled;
        case errc::busy: return code == device_or_resource_busy;
        }
        return false;
    }
};

}  // namespace

const std::error_category& errc_category() noexcept {
    static const errc_conditions conditions;
    return conditions;
}

void detail::throw_empty_callback() {
    throw std::logic_error("an empty callback was called");
}

}  // namespace selectors
