#include "services.hpp"

namespace app {
namespace {

class discard final : public service {
    void arrived(peer&, std::string_view) override {}
};

}  // namespace

std::unique_ptr<service> make_discard() {
    return std::make_unique<discard>();
}

}  // namespace app
