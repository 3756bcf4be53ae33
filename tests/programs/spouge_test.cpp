// Spouge's formula against exact factorials, against std::tgamma, and against its own promise.
#include <charconv>
#include <cmath>
#include <cstdio>
#include <string>

#include <gtest/gtest.h>

#include "../../examples/factorial.hpp"
#include "../../examples/spouge.hpp"

namespace {

double exactly(int n) {
    const std::string digits = spouge::exact_factorial(n);
    double value = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return value;
}

double relative_error(double found, double exact) {
    return std::abs(found - exact) / std::abs(exact);
}

double worst_of_whole_numbers(double a) {
    double worst = 0;
    for (int n = 0; n <= 170; ++n)
        worst = std::max(worst, relative_error(spouge::factorial(n, a).value, exactly(n)));
    return worst;
}

TEST(spouge, exact_factorials_are_exact) {
    EXPECT_EQ(spouge::exact_factorial(0), "1");
    EXPECT_EQ(spouge::exact_factorial(5), "120");
    EXPECT_EQ(spouge::exact_factorial(20), "2432902008176640000");
    EXPECT_EQ(spouge::exact_factorial(30), "265252859812191058636308480000000");
    EXPECT_EQ(spouge::exact_factorial(170).size(), 307U);
}

TEST(spouge, every_whole_number_is_within_promise_and_rounding) {
    for (int n = 0; n <= 170; ++n) {
        const auto found = spouge::factorial(n);
        const double error = relative_error(found.value, exactly(n));
        EXPECT_LT(error, spouge::bound()) << n;
        EXPECT_LT(found.rounding, spouge::bound()) << n;
        EXPECT_NEAR(found.log10, std::log10(exactly(n)), 1e-11) << n;
    }
}

TEST(spouge, the_bound_is_the_papers) {
    EXPECT_NEAR(spouge::bound(3), 9.29e-4, 1e-6);  // 3^-1/2 (2 pi)^-7/2
    EXPECT_NEAR(spouge::bound(12.5), 1.18e-11, 1e-13);
}

/// With a small `a` the formula's own error is far above that of rounding, and below the promise.
TEST(spouge, the_promise_holds_for_every_a_that_rounding_leaves_alone) {
    for (double a = 3; a <= spouge::default_a; a += 0.5) {
        EXPECT_LT(worst_of_whole_numbers(a), spouge::bound(a)) << a;
        for (double z = 0.01; z < 170; z += 0.37)
            EXPECT_LT(relative_error(spouge::factorial(z, a).value, std::tgamma(z + 1)),
                      spouge::bound(a) + 1e-13)
                << a << " " << z;
    }
}

/// Why `a` is what it is: further up rounding spoils more than the formula gains.
TEST(spouge, a_larger_a_promises_more_and_keeps_less) {
    for (double a = 9.5; a <= 16.5; a += 1)
        std::printf("a = %4.1f: promised %.1e, measured %.1e\n", a, spouge::bound(a),
                    worst_of_whole_numbers(a));
    EXPECT_GT(worst_of_whole_numbers(15), spouge::bound(15));
    EXPECT_GT(worst_of_whole_numbers(17), worst_of_whole_numbers(spouge::default_a));
}

TEST(spouge, real_numbers_agree_with_tgamma_on_both_sides_of_zero) {
    for (double z = -165.03; z < 170.6; z += 0.0625)
        EXPECT_LT(relative_error(spouge::factorial(z).value, std::tgamma(z + 1)), 1.5e-11) << z;
}

TEST(spouge, beyond_a_double_the_logarithm_remains) {
    for (const double z : {171.0, 1000.5, 1e6, 1e15, 1e300}) {
        const auto found = spouge::factorial(z);
        EXPECT_TRUE(std::isinf(found.value)) << z;
        EXPECT_LT(relative_error(found.log10, std::lgamma(z + 1) / std::log(10.0)), 1e-13) << z;
    }
    const auto small = spouge::factorial(-200.5);
    EXPECT_LT(std::abs(small.value), 1e-300);
    EXPECT_LT(relative_error(small.log10, std::lgamma(-199.5) / std::log(10.0)), 1e-12);
    EXPECT_TRUE(spouge::factorial(-1.5).negative);
    EXPECT_FALSE(spouge::factorial(-2.5).negative);
}

TEST(spouge, the_poles_have_no_value) {
    for (const double pole : {-1.0, -2.0, -171.0, -1e17})
        EXPECT_TRUE(std::isnan(spouge::factorial(pole).value)) << pole;
}

}  // namespace
