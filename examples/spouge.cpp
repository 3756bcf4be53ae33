#include "spouge.hpp"

#include <cmath>
#include <limits>
#include <numbers>

namespace spouge {
namespace {

constexpr double unit = std::numeric_limits<double>::epsilon() / 2;

/// The formula itself, for z > 0.
estimate by_formula(double z, double a) {
    double sum = std::sqrt(2 * std::numbers::pi);
    double magnitude = sum;
    double factorial_before = 1;  // (k-1)!
    for (int k = 1; k < a; ++k) {
        const double coefficient = std::pow(a - k, k - 0.5) * std::exp(a - k) /
                                   (k % 2 == 1 ? factorial_before : -factorial_before);
        sum += coefficient / (z + k);
        magnitude += std::abs(coefficient / (z + k));
        factorial_before *= k;
    }
    // In two halves: the power alone overflows long before the product does.
    const double half = std::pow(z + a, (z + 0.5) / 2);
    const double log = (z + 0.5) * std::log(z + a) - (z + a) + std::log(sum);

    estimate found{};
    found.value = half * std::exp(-(z + a)) * half * sum;
    if (std::isnan(found.value)) found.value = std::numeric_limits<double>::infinity();
    found.log10 = log / std::numbers::ln10;
    // Each term is good to a few units; the power multiplies the rounding of its base and exponent.
    found.rounding = unit * (4 * magnitude / sum + 2 * (z + a) * (1 + std::log(z + a)));
    return found;
}

/// gamma(z+1) = gamma(z+2) / (z+1), for -1 < z <= 0.
estimate by_recurrence(double z, double a) {
    estimate found = by_formula(z + 1, a);
    found.value /= z + 1;
    found.log10 -= std::log10(z + 1);
    return found;
}

/// gamma(z+1) = pi / (sin(pi (z+1)) gamma(-z)), for z < -1 between the poles.
estimate by_reflection(double z, double a) {
    estimate found = by_formula(-z - 1, a);
    // The remainder is exact, so that the sine is as good far from zero as near it.
    const double sine = std::sin(std::numbers::pi * std::remainder(z + 1, 2.0));
    found.value = std::numbers::pi / sine / found.value;
    found.log10 = std::log10(std::numbers::pi / std::abs(sine)) - found.log10;
    found.negative = sine < 0;
    return found;
}

}  // namespace

estimate factorial(double z, double a) {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    if (std::isnan(z) || (z < 0 && z == std::floor(z))) return {nan, nan, false, nan};
    if (z > 0) return by_formula(z, a);
    return z > -1 ? by_recurrence(z, a) : by_reflection(z, a);
}

double bound(double a) {
    return std::pow(a, -0.5) * std::pow(2 * std::numbers::pi, -(a + 0.5));
}

}  // namespace spouge
