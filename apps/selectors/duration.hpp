// duration.hpp - how long, as people write it: 500ms, 30s, 1.5m, 2h.
//
//     if (const auto wait = parse_duration("30s")) use(*wait);
//     else std::fputs(wait.error().c_str(), stderr);          // a sentence with the value and the way out
#pragma once

#include <chrono>
#include <expected>
#include <string>
#include <string_view>

namespace app {

/// A number, not negative, and its unit: ms, s, m or h. At most 1,000 days.
std::expected<std::chrono::milliseconds, std::string> parse_duration(std::string_view text);

/// "30 s", "0.5 s": for messages.
std::string to_text(std::chrono::nanoseconds duration);

}  // namespace app
