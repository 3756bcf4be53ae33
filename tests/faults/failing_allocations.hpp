// faults/failing_allocations.hpp - allocations that fail when a test wants it.
#pragma once

namespace selectors::testing {

/// How many succeed before one fails, which makes it negative: none fails.
extern long allocations_until_failure;

}  // namespace selectors::testing
