// backends.hpp - `selectors backends`: which mechanisms this machine has, which is chosen and why.
#pragma once

namespace app {

/// Prints a line for each and the reason for the choice; `verbose`: what each offers and its limits, too.
/// Returns 0. Throws std::invalid_argument if SELECTORS_BACKEND names none of them.
int list_backends(bool verbose);

}  // namespace app
