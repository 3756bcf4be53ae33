#include "serve.hpp"

#include <atomic>
#include <cstdio>
#include <stdexcept>

#include "duration.hpp"
#include "platform.hpp"

namespace app {
namespace {

std::atomic<int> stops{0};
std::atomic<server*> running{nullptr};
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<server*>::is_always_lock_free);

void stop() {
    stops.fetch_add(1);
    if (server* s = running.load()) s->wake();
}

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
    running = &s;
    const stop_signals handled{stop};
    for (const std::string& each : s.addresses()) say("listening on " + each);

    const auto start = std::chrono::steady_clock::now();
    s.run([&, told = false]() mutable {
        const int count = stops;
        if (count > 0 && !std::exchange(told, true))
            say("stopping: what is in flight has " + to_text(options.grace) +
                "; a second signal ends it");
        return count;
    });
    say(to_text(s.totals()) + "; ran for " + to_text(std::chrono::steady_clock::now() - start));
    return 0;
}

}  // namespace app
