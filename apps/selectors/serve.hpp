// serve.hpp - `selectors serve`: a server, its signals and what it says.
#pragma once

#include <string>

#include "server.hpp"

namespace app {

/// Serves until SIGINT or SIGTERM, finishes what is in flight, says what it did, and returns 0. The
/// second signal ends it at once. Throws as the server's constructor does; std::invalid_argument for
/// an unknown service.
int serve(const std::string& service_name, const server_options& options);

}  // namespace app
