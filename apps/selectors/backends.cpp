#include "backends.hpp"

#include <cstdio>
#include <cstdlib>

#include <selectors/backend.hpp>

namespace sel = selectors;

namespace app {

int list_backends() {
    const sel::backend_handle chosen = sel::open_backend();  // throws if the environment is wrong
    for (const sel::backend_info& each : sel::backends())
        std::printf("%c %-8s %s%s\n", each.chosen ? '*' : ' ', each.name,
                    each.available ? "" : "not here: ", each.reason);
    const char* asked = std::getenv("SELECTORS_BACKEND");
    std::printf("\n%s is chosen, for %s\n", chosen->name(),
                asked && *asked ? "SELECTORS_BACKEND names it."
                                : "it is the first of these that this machine has; "
                                  "--backend or SELECTORS_BACKEND choose another.");
    return 0;
}

}  // namespace app
