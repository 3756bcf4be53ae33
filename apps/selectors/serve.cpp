#include "serve.hpp"

#include <cstdio>
#include <stdexcept>

#include "duration.hpp"
#include "platform.hpp"
#include "server.hpp"

namespace app {
namespace {

void say(const std::string& line) {
    std::puts(line.c_str());
    std::fflush(stdout);
}

}  // namespace

int serve(const std::string& service_name, const server_options& options) {
    const auto service = make_service(service_name);
    if (!service)
        throw std::invalid_argument("there is no service \"" + service_name + "\"; choose one of " +
                                    service_names());
    lift_descriptor_limit();
    server s{options, *service};
    for (const std::string& each : s.addresses()) say("listening on " + each);

    const auto start = std::chrono::steady_clock::now();
    s.run();
    say(to_text(s.totals()) + "; ran for " + to_text(std::chrono::steady_clock::now() - start));
    return 0;
}

}  // namespace app
