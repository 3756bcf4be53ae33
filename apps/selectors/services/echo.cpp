#include "services.hpp"

namespace app {
namespace {

class echo final : public service {
    void arrived(peer& from, std::string_view bytes) override { from.send(bytes); }
};

}  // namespace

std::unique_ptr<service> make_echo() {
    return std::make_unique<echo>();
}

}  // namespace app
