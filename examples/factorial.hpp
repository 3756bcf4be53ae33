// factorial.hpp - the protocol of the factorial server: a line in, a sentence out.
//
//     answer("5")     "5! = 120; Spouge's formula with a = 12.5 gives 119.9999999999985, ..."
//     answer("2.5")   "2.5! = 3.3233509704478 by Spouge's formula with a = 12.5; ..."
//     answer("1000")  "1000! is too large for a double; by Spouge's formula log10 of it is 2567.60464422213; ..."
//     answer("-3")    "(-3)! has no value: ..."
//     answer("five")  "I cannot read "five" as a number; ..."
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace spouge {

/// The longest line worth reading; a server answers a longer one with `too_long`.
inline constexpr std::size_t longest_line = 100;
inline constexpr std::string_view too_long =
    "That line is too long; write one number of at most 100 characters.";

/// The answer to one line, both without their line ends. Spaces around the number do not matter.
std::string answer(std::string_view line);

/// n! to the last digit, for 0 <= n <= 170: as far as a double can hold it.
std::string exact_factorial(int n);

}  // namespace spouge
