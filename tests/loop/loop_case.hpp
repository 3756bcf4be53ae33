// loop/loop_case.hpp - the conformance suite's cases, with a loop.
#pragma once

#include <string>

#include <selectors/async.hpp>

#include "conformance/conformance.hpp"

namespace selectors::testing {

/// The kinds of all callbacks, one behind the other.
struct seen_kinds : loop_observer {
    void callback_begins(const callback_info& what) override { kinds += what.kind; }
    std::string kinds;
};

}  // namespace selectors::testing
