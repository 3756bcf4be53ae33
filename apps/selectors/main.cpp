// The program `selectors`: its command line, and the sentence for everything that is wrong with it.
//
// Exit codes: 0 fine, 1 failed while running, 2 bad input or could not start.
#include <cstdio>
#include <string>
#include <system_error>

#include <CLI/CLI.hpp>

#include <selectors/selectors.hpp>

#include "backends.hpp"
#include "duration.hpp"
#include "platform.hpp"
#include "serve.hpp"
#include "talk.hpp"

namespace sel = selectors;

namespace {

constexpr int could_not_start = 2;

/// An option that is a duration; its error is CLI11's with our sentence, so that it names the option.
void add_duration(CLI::App* to, const std::string& name, std::chrono::milliseconds& into,
                  const std::string& description) {
    const auto read = [name, &into](const std::string& text) {
        const auto duration = app::parse_duration(text);
        if (!duration) throw CLI::ValidationError(name, duration.error());
        into = *duration;
    };
    to->add_option_function<std::string>(name, read, description)->type_name("D");
}

void add_serve(CLI::App& program, int& code) {
    static std::string service;
    static app::server_options options{
        .listen = {"127.0.0.1:7342"}, .backend = {}, .idle_timeout = std::chrono::minutes{10}};
    CLI::App* serve = program.add_subcommand("serve", "Serve until SIGINT or SIGTERM");
    serve->add_option("service", service, "One of " + app::service_names())->required();
    serve
        ->add_option("--listen", options.listen,
                     "Where: host:port, [ipv6]:port, /path/of.sock or @abstract; may be given several "
                     "times. Port 0 lets the system choose")
        ->type_name("ADDR")
        ->take_all()
        ->allow_extra_args(false)
        ->capture_default_str();
    serve
        ->add_option("--backend", options.backend,
                     "As `selectors backends` lists them; the best of this machine unless given")
        ->type_name("NAME");
    serve
        ->add_option("--max-connections", options.max_connections,
                     "So many at a time; further ones wait until one closes")
        ->check(CLI::Range(1, 1'000'000))
        ->type_name("N")
        ->capture_default_str();
    add_duration(serve, "--idle-timeout", options.idle_timeout,
                 "Close connections that are quiet for so long, like 30s or 500ms; 0s: never [10m]");
    add_duration(serve, "--grace", options.grace,
                 "How long to finish what is in flight when told to stop [5s]");
    serve->callback([&code] { code = app::serve(service, options); });
}

void add_talk(CLI::App& program, int& code) {
    static std::string address;
    CLI::App* talk = program.add_subcommand("talk", "Talk to a server, a line at a time");
    talk->add_option("address", address, "host:port, [ipv6]:port, /path/of.sock or @abstract")
        ->type_name("ADDR")
        ->required();
    talk->callback([&code] { code = app::talk(address); });
}

void add_backends(CLI::App& program, int& code) {
    static bool verbose = false;
    CLI::App* backends =
        program.add_subcommand("backends", "List what this machine can wait with, and which is chosen");
    backends->add_flag("--verbose", verbose, "Triggers, priority, precision of time and limits, too");
    backends->callback([&code] { code = app::list_backends(verbose); });
}

/// What to do about it, where the reason alone does not say.
const char* way_out(std::error_code reason) {
    if (reason == sel::errc::address_in_use)
        return "; stop who listens there, or choose another address with --listen";
    if (reason == sel::errc::permission_denied)
        return "; ports below 1024 are root's, and a path needs a directory that you may write to: "
               "choose another address with --listen";
    if (reason == std::errc::address_not_available)
        return "; that address is none of this machine's: choose another with --listen";
    if (reason == std::errc::no_such_file_or_directory)
        return "; the directory of a Unix socket must be there already";
    return "";
}

/// CLI11 says of an unknown command only that one is required.
std::string sentence_for(const CLI::ParseError& problem, const CLI::App& program, const char* first) {
    if (program.get_subcommands().empty() && first && first[0] != '-')
        return "there is no command \"" + std::string{first} + "\"; choose serve, talk or backends";
    return std::string{problem.what()} + "; see selectors --help";
}

}  // namespace

int main(int argc, char** argv) {
    app::occupy_standard_descriptors();
    CLI::App program{"selectors: a bag of sockets, served and talked to", "selectors"};
    int code = 0;
    program.require_subcommand(1);
    program.set_version_flag("--version", "selectors " + std::to_string(SELECTORS_VERSION_MAJOR) + "." +
                                              std::to_string(SELECTORS_VERSION_MINOR) + "." +
                                              std::to_string(SELECTORS_VERSION_PATCH));
    add_serve(program, code);
    add_talk(program, code);
    add_backends(program, code);

    try {
        program.parse(argc, argv);
        return code;
    } catch (const CLI::ParseError& problem) {
        if (problem.get_exit_code() == 0) return program.exit(problem);  // --help, --version
        std::fprintf(stderr, "selectors: %s\n", sentence_for(problem, program, argv[1]).c_str());
    } catch (const std::system_error& problem) {
        std::fprintf(stderr, "selectors: %s%s\n", problem.what(), way_out(problem.code()));
    } catch (const std::exception& problem) {
        std::fprintf(stderr, "selectors: %s\n", problem.what());
    }
    return could_not_start;
}
