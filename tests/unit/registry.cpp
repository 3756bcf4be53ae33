#include <cstdlib>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

#include <selectors/backend.hpp>
#include <selectors/selector.hpp>

#include "support/platform.hpp"

namespace selectors {
namespace {

using namespace selectors::testing;

/// Sets SELECTORS_BACKEND while it lives.
class named_in_environment {
  public:
    explicit named_in_environment(const char* name) { set_environment("SELECTORS_BACKEND", name); }
    named_in_environment(const named_in_environment&) = delete;
    named_in_environment& operator=(const named_in_environment&) = delete;
    ~named_in_environment() { unset_environment("SELECTORS_BACKEND"); }
};

std::string name_of(const backend_handle& opened) {
    return opened->name();
}

std::string all_names() {
    std::string names;
    for (const backend_info& each : backends())
        names += (names.empty() ? "" : ", ") + std::string{each.name};
    return names;
}

TEST(backends, are_listed_the_preferred_first_and_one_is_chosen) {
    unset_environment("SELECTORS_BACKEND");
    int chosen = 0;
    for (const backend_info& each : backends()) {
        EXPECT_FALSE(std::string{each.reason}.empty());
        chosen += each.chosen;
        if (each.available)
            EXPECT_EQ(name_of(open_backend(each.name)), each.name);
        else
            EXPECT_THROW(open_backend(each.name), std::system_error);
    }
    EXPECT_EQ(chosen, 1);
    EXPECT_TRUE(backends().front().chosen);
    EXPECT_EQ(name_of(open_backend()), backends().front().name);
}

TEST(backends, are_chosen_by_the_environment) {
    const char* const last = backends().back().name;
    const named_in_environment name{last};
    EXPECT_EQ(name_of(open_backend()), last);
    EXPECT_STREQ(selector<>{}.backend().name(), last);
    const char* const first = backends().front().name;
    EXPECT_STREQ(selector<>{first}.backend().name(), first) << "a name in the program is stronger";
}

TEST(backends, that_are_not_known_are_refused_with_those_that_are) {
    try {
        selector<> bag{"kpoll"};
        FAIL();
    } catch (const std::invalid_argument& refused) {
        EXPECT_EQ(std::string{refused.what()},
                  "no backend is called \"kpoll\"; this platform has: " + all_names());
    }
    const named_in_environment name{"nonsense"};
    try {
        selector<> bag;
        FAIL();
    } catch (const std::invalid_argument& refused) {
        EXPECT_EQ(std::string{refused.what()}.substr(0, 18), "SELECTORS_BACKEND:");
    }
}

/// A sandbox may refuse one, and this is what a server must live with that was told to use it.
TEST(backends, that_the_system_refuses_are_done_without) {
    for (const backend_info& each : backends()) {
        const named_in_environment name{each.name};
        EXPECT_EQ(name_of(open_backend()), each.available ? each.name : backends().front().name);
    }
}

TEST(backends, empty_in_the_environment_is_none) {
    const named_in_environment name{""};
    EXPECT_EQ(name_of(open_backend()), backends().front().name);
}

}  // namespace
}  // namespace selectors
