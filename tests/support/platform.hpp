// support/platform.hpp - what the tests want of the platform beside the library: one face, two sides.
//
//     CASE(a_child_sees_what_the_parent_registered) {
//         NEEDS(forks);            // on Windows: not expressible, for it has no fork
//
// What a platform has not its side of this declares all the same, so that every case is compiled.
#pragma once

#include <gtest/gtest.h>

namespace selectors::testing {

/// Something that a platform may lack.
struct ability {
    const char* lacking;  ///< why it is not here; null if it is
};

}  // namespace selectors::testing

#define NOT_EXPRESSIBLE(reason) GTEST_SKIP() << "not expressible: " << reason

/// Ends a test that wants what the platform lacks.
#define NEEDS(what)                                                                                    \
    if (const char* const lacking_here = ::selectors::testing::platform::what.lacking)                 \
    NOT_EXPRESSIBLE(lacking_here)

#if defined(_WIN32)
#include "support/windows.hpp"
#else
#include "support/posix.hpp"
#endif
