// random/steps.hpp - how a program of random steps is called: its options, its seed, its exit code.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <random>
#include <string>

#include <selectors/backend.hpp>

namespace selectors::testing {

/// `Run` is made of a backend's name and a seed; its step() throws std::runtime_error with the step and what
/// was wrong. Ends with 0, 1 if it did, 77 (as CTest and Automake have it for a test that was skipped) if this
/// system refuses the backend.
template <class Run>
int steps_main(const std::string& name, int argc, char** argv) {
    std::string backend = selectors::backends().front().name;
    std::uint64_t steps = 200'000;
    std::uint64_t seed = std::random_device{}();
    const auto usage = [&](std::ostream& out, int code) {
        out << "usage: " << name
            << " [--backend NAME] [--steps N] [--seed N]\n"
               "Holds N random steps (default 200000) against a model; a seed replays them.\n"
               "Ends with 0, 1 if the library was wrong, 77 if this system refuses the backend.\n";
        return code;
    };
    for (int i = 1; i < argc; ++i) {
        const std::string option = argv[i];
        if (option == "--help") return usage(std::cout, 0);
        if (i + 1 == argc) return usage(std::cerr, 2);
        const char* value = argv[++i];
        if (option == "--backend")
            backend = value;
        else if (option == "--steps")
            steps = std::strtoull(value, nullptr, 10);
        else if (option == "--seed")
            seed = std::strtoull(value, nullptr, 10);
        else
            return usage(std::cerr, 2);
    }
    for (const auto& mechanism : selectors::backends())
        if (backend == mechanism.name && !mechanism.available) {
            std::cout << backend << " is not here: " << mechanism.reason << std::endl;
            return 77;
        }
    std::cout << name << " --backend " << backend << " --steps " << steps << " --seed " << seed
              << std::endl;
    try {
        Run test{backend, seed};
        for (std::uint64_t step = 0; step < steps; ++step) {
            test.step();
            if (steps > 1'000'000 && step % (steps / 10) == 0) std::cout << step << " ..." << std::endl;
        }
        test.summary(std::cout);
    } catch (const std::exception& wrong) {
        std::cout << wrong.what() << std::endl;
        return 1;
    }
    return 0;
}

}  // namespace selectors::testing
