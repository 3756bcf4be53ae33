#include "serve.hpp"

#include <atomic>
#include <csignal>
#include <cstdio>
#include <stdexcept>

#include <sys/resource.h>

#include "duration.hpp"

namespace app {
namespace {

std::atomic<int> stops{0};
std::atomic<server*> running{nullptr};
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<server*>::is_always_lock_free);

extern "C" void stop(int) {
    stops.fetch_add(1);
    if (server* s = running.load()) s->wake();
}

/// While it lives, SIGINT and SIGTERM stop the server instead of the process.
class stop_signals {
  public:
    explicit stop_signals(server& stopped) {
        running = &stopped;
        install(stop);
    }
    ~stop_signals() {
        install(SIG_DFL);
        running = nullptr;
    }

  private:
    static void install(void (*handler)(int)) {
        struct sigaction action{};
        action.sa_handler = handler;
        sigemptyset(&action.sa_mask);
        for (const int signal : {SIGINT, SIGTERM}) sigaction(signal, &action, nullptr);
    }
};

/// The soft limit protects programs that use select(2) with its fixed bit arrays; this is none.
void lift_descriptor_limit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
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
    const stop_signals handled{s};
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
