// spouge.hpp - the factorial of any real number, by Spouge's formula.
//
//     const auto half = spouge::factorial(0.5);              // gamma(1.5) = sqrt(pi) / 2
//     std::printf("%.12g, off by less than %.1e\n", half.value, spouge::bound() + half.rounding);
//
// For a > 0 and Re(z) > 0, with N = ceil(a) - 1:
//
//     z! = gamma(z+1) = (z+a)^(z+1/2) e^-(z+a) [ c_0 + sum over k = 1..N of c_k / (z+k) ] (1 + error)
//     c_0 = sqrt(2 pi),   c_k = (-1)^(k-1) / (k-1)!  (a-k)^(k-1/2) e^(a-k)
//     |error| < a^(-1/2) (2 pi)^-(a+1/2)     for a >= 3
//
// The larger `a`, the smaller that bound, and the larger the coefficients: they alternate in sign and
// cancel, and what rounding has spoiled in them remains. In double the two meet near a = 13 (the table
// in the test shows it); a = 12.5 keeps the rounding at a tenth of the bound.
//
// Source: J. L. Spouge, "Computation of the Gamma, Digamma, and Trigamma Functions", SIAM Journal on
// Numerical Analysis 31 (1994), pages 931 to 944.
#pragma once

namespace spouge {

inline constexpr double default_a = 12.5;

struct estimate {
    double value;     ///< z!, or infinity or zero where a double cannot hold it
    double log10;     ///< the decimal logarithm of its magnitude, which a double always holds up to
                      ///< z = 1e305; not a number at a pole
    bool negative;    ///< its sign
    double rounding;  ///< what computing in double may add to the relative error, about
};

/// z! = gamma(z+1) of a real z. Left of zero, where the formula promises nothing, by way of the
/// recurrence and of Euler's reflection. At the poles -1, -2, ... the value is not a number.
/// `a`: 3 to 170.
estimate factorial(double z, double a = default_a);

/// What the formula promises: the relative error is smaller, rounding aside.
double bound(double a = default_a);

}  // namespace spouge
