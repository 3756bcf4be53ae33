// loop/loop_case.hpp - the conformance suite's cases, with a loop.
#pragma once

#include <selectors/async.hpp>

#include "conformance/conformance.hpp"
