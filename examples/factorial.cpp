#include "factorial.hpp"

#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <vector>

#include "spouge.hpp"

namespace spouge {
namespace {

std::string digits(double value, int count) {
    char text[40];
    std::snprintf(text, sizeof text, "%.*g", count, value);
    return text;
}

std::string_view trimmed(std::string_view text) {
    const auto first = text.find_first_not_of(" \t\r");
    if (first == text.npos) return {};
    return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

/// What came, fit to be shown: whatever is no printable ASCII becomes a question mark.
std::string shown(std::string_view text) {
    std::string clean{text.substr(0, longest_line)};
    for (char& each : clean)
        if (each < ' ' || each > '~') each = '?';
    return clean;
}

/// "5", "2.5", "(-0.5)": the shortest digits that read back as the same number.
std::string named(double value) {
    char text[40];
    const auto written = std::to_chars(text, text + sizeof text, value);
    const std::string name{text, written.ptr};
    return value < 0 ? "(" + name + ")" : name;
}

std::string promise() {
    return "the formula promises a relative error below " + digits(bound(), 2);
}

/// Where the exact value is known, the error is measured, not promised.
std::string answer_whole(int n) {
    const std::string exact = exact_factorial(n);
    double nearest = 0;
    std::from_chars(exact.data(), exact.data() + exact.size(), nearest);
    const estimate found = factorial(n);
    const double error = std::abs(found.value - nearest) / nearest;

    std::string text = std::to_string(n) + "! = " + exact +
                       "; Spouge's formula with a = " + digits(default_a, 4) + " gives " +
                       digits(found.value, 16) + ", relative error ";
    text += error == 0 ? "none that a double shows" : digits(error, 2);
    // Most of the time the formula is better than the arithmetic: say which of them is to blame.
    if (error > 0 && error <= found.rounding)
        text += " (rounding alone may cause " + digits(found.rounding, 2) + ")";
    return text + "; " + promise();
}

std::string answer_real(double z) {
    const std::string name = named(z) + "!";
    const estimate found = factorial(z);
    if (std::isnan(found.value))
        return name + " has no value: at the negative whole numbers the gamma function has its poles; "
                      "try a number beside it.";
    if (std::isinf(found.log10))
        return name +
               " is so far out that a double cannot even hold its logarithm; try a number nearer "
               "to zero.";
    const bool large = std::isinf(found.value);
    if (large || std::abs(found.value) < std::numeric_limits<double>::min())
        return name + " is too " + (large ? "large" : "small") +
               " for a double; by Spouge's formula log10 of " +
               (found.negative ? "its negative" : "it") + " is " + digits(found.log10, 15) + "; " +
               promise() + ", rounding aside";
    return name + " = " + digits(found.value, 14) +
           " by Spouge's formula with a = " + digits(default_a, 4) + "; " + promise() +
           ", rounding may add " + digits(found.rounding, 2);
}

}  // namespace

std::string exact_factorial(int n) {
    // Long arithmetic as on paper, nine digits at a time, the lowest first.
    constexpr std::uint64_t base = 1'000'000'000;
    std::vector<std::uint64_t> parts{1};
    for (int factor = 2; factor <= n; ++factor) {
        std::uint64_t carry = 0;
        for (auto& part : parts) {
            carry += part * static_cast<std::uint64_t>(factor);
            part = carry % base;
            carry /= base;
        }
        if (carry > 0) parts.push_back(carry);
    }
    std::string text = std::to_string(parts.back());
    for (auto part = parts.rbegin() + 1; part != parts.rend(); ++part) {
        const std::string nine = std::to_string(*part);
        text.append(9 - nine.size(), '0') += nine;
    }
    return text;
}

std::string answer(std::string_view line) {
    const std::string_view text = trimmed(line);
    const std::string_view number = text.starts_with('+') ? text.substr(1) : text;
    double z = 0;
    const auto [end, problem] = std::from_chars(number.data(), number.data() + number.size(), z);
    if (problem == std::errc::result_out_of_range)
        return "\"" + shown(text) +
               "\" is outside of what a double can hold; try a number nearer to zero.";
    if (text.empty() || problem != std::errc{} || end != number.data() + number.size() ||
        !std::isfinite(z))
        return "I cannot read \"" + shown(text) + "\" as a number; write one like 5, 2.5, -0.5 or 1e3.";
    if (z >= 0 && z <= 170 && z == std::floor(z)) return answer_whole(static_cast<int>(z));
    return answer_real(z);
}

}  // namespace spouge
