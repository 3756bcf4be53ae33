// selectors/version.hpp - the version of these headers.
//
//     static_assert(selectors::version_number >= 100);
//
// CMake reads the three numbers from here; they are written nowhere else.
#pragma once

#define SELECTORS_VERSION_MAJOR 0
#define SELECTORS_VERSION_MINOR 1
#define SELECTORS_VERSION_PATCH 0

namespace selectors {

/// major * 10000 + minor * 100 + patch.
inline constexpr int version_number =
    SELECTORS_VERSION_MAJOR * 10000 + SELECTORS_VERSION_MINOR * 100 + SELECTORS_VERSION_PATCH;

}  // namespace selectors
