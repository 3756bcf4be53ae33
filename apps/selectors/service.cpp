#include "service.hpp"

#include "services/services.hpp"

namespace app {
namespace {

constexpr struct {
    std::string_view name;
    std::unique_ptr<service> (*make)();
} services[] = {
    {"echo", make_echo},       {"chat", make_chat},       {"factorial", make_factorial},
    {"discard", make_discard}, {"chargen", make_chargen},
};

}  // namespace

std::string service_names() {
    std::string names;
    for (const auto& each : services) names.append(names.empty() ? "" : ", ").append(each.name);
    return names;
}

std::unique_ptr<service> make_service(std::string_view name) {
    for (const auto& each : services)
        if (each.name == name) return each.make();
    return nullptr;
}

}  // namespace app
