#include <string>
#include <thread>
#include <vector>

#include "conformance.hpp"

namespace selectors::testing {
namespace {

struct registered_case {
    const char* name;
    case_factory make;
    const char* file;
    int line;
};

std::vector<registered_case>& cases() {
    static std::vector<registered_case> all;
    return all;
}

}  // namespace

bool register_case(const char* name, case_factory make, const char* file, int line) {
    cases().push_back({name, make, file, line});
    return true;
}

}  // namespace selectors::testing

int main(int argc, char** argv) {
    using namespace selectors::testing;
    ::testing::InitGoogleTest(&argc, argv);
    // Looked at by a thread of their own: some time after an io_uring was closed the kernel interrupts,
    // once, whatever its thread is waiting for, and some cases count waits.
    std::jthread{[] { (void)selectors::backends(); }}.join();
    for (const auto& mechanism : selectors::backends())
        for (const auto& each : cases())
            ::testing::RegisterTest((std::string{SELECTORS_SUITE "."} + mechanism.name).c_str(),
                                    each.name, nullptr, nullptr, each.file, each.line,
                                    [mechanism, each] {
                                        conformance_case* made = each.make();
                                        made->on(mechanism);
                                        return made;
                                    });
    return RUN_ALL_TESTS();
}
