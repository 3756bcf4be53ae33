// services.hpp - the services there are; service.cpp has their names.
#pragma once

#include <memory>

#include "../service.hpp"

namespace app {

std::unique_ptr<service> make_echo();       ///< RFC 862: everything comes back
std::unique_ptr<service> make_chat();       ///< a room: every line goes to all others
std::unique_ptr<service> make_factorial();  ///< a number a line, answered by Spouge's formula
std::unique_ptr<service> make_discard();    ///< RFC 863: everything is thrown away
std::unique_ptr<service> make_chargen();    ///< RFC 864: characters for as long as they are read

}  // namespace app
