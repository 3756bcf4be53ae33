#include "duration.hpp"

#include <charconv>
#include <cmath>
#include <cstdio>

namespace app {
namespace {

constexpr double longest = 1000.0 * 24 * 60 * 60 * 1000;  // in milliseconds

/// How many milliseconds the unit has; 0 for what is no unit.
double milliseconds_in(std::string_view unit) {
    if (unit == "ms") return 1;
    if (unit == "s") return 1000;
    if (unit == "m") return 60 * 1000;
    if (unit == "h") return 60 * 60 * 1000;
    return 0;
}

}  // namespace

std::expected<std::chrono::milliseconds, std::string> parse_duration(std::string_view text) {
    double count = 0;
    const char* last = text.data() + text.size();
    const auto [end, problem] = std::from_chars(text.data(), last, count, std::chars_format::fixed);
    const double unit = milliseconds_in({end, static_cast<std::size_t>(last - end)});
    // "nan" and "inf" are numbers to from_chars; neither passes the last comparison.
    if (problem != std::errc{} || unit == 0 || std::signbit(count) || !(count * unit <= longest))
        return std::unexpected{
            "\"" + std::string{text} +
            "\" is no duration; write a number and its unit, like 500ms, 30s, 5m or 2h"};
    return std::chrono::milliseconds{std::llround(std::ceil(count * unit))};
}

std::string to_text(std::chrono::nanoseconds duration) {
    char digits[40];
    std::snprintf(digits, sizeof digits, "%.3f", std::chrono::duration<double>{duration}.count());
    std::string text = digits;
    text.erase(text.find_last_not_of('0') + 1);
    if (text.ends_with('.')) text.pop_back();
    return text + " s";
}

}  // namespace app
