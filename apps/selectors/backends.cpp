#include "backends.hpp"

#include <cstdio>
#include <cstdlib>
#include <string>

#include <selectors/backend.hpp>

namespace sel = selectors;

namespace app {
namespace {

std::string triggers_of(const char* backend) {
    const sel::backend_handle opened = sel::open_backend(backend);
    std::string names = "level, oneshot";  // on every backend
    for (const sel::trigger mode : {sel::trigger::edge, sel::trigger::exclusive})
        if (opened->supports(mode)) names += std::string{", "} + to_string(mode);
    return names;
}

void describe(const sel::backend_info& of) {
    using std::chrono::milliseconds;
    if (of.available) std::printf("    triggers     %s\n", triggers_of(of.name).c_str());
    std::printf("    priority     %s\n", of.priority ? "yes" : "no");
    std::printf("    time         %s, rounded up\n",
                of.precision < milliseconds{1} ? "nanoseconds" : "milliseconds");
    std::printf("    descriptors  %s\n", of.limit);
}

const char* why(bool named, bool chosen_by_name) {
    if (!named)
        return "it is the first of these that this machine has; --backend or SELECTORS_BACKEND choose "
               "another.";
    return chosen_by_name ? "SELECTORS_BACKEND names it."
                          : "the system refuses what SELECTORS_BACKEND names.";
}

}  // namespace

int list_backends(bool verbose) {
    const sel::backend_handle chosen = sel::open_backend();  // throws if the environment is wrong
    for (const sel::backend_info& each : sel::backends()) {
        std::printf("%c %-8s %s%s\n", each.chosen ? '*' : ' ', each.name,
                    each.available ? "" : "not here: ", each.reason);
        if (verbose) describe(each);
    }
    const char* asked = std::getenv("SELECTORS_BACKEND");
    const bool named = asked && *asked;
    std::printf("\n%s is chosen, for %s\n", chosen->name(),
                why(named, named && std::string{asked} == chosen->name()));
    return 0;
}

}  // namespace app
