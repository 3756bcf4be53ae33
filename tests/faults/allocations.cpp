// Every allocation fails once: the first, the second, ... until a run needs no more of them. Whatever
// was being done must be undone, and the bag must work afterwards.
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <selectors/selectors.hpp>

#include "failing_allocations.hpp"

namespace selectors {
namespace {

using namespace std::chrono_literals;
using testing::allocations_until_failure;

class every_allocation : public ::testing::TestWithParam<const char*> {};

struct ends {
    socket a;
    socket b;
};

/// Everything a bag does; throws std::bad_alloc wherever an allocation fails.
void use(selector<std::string>& bag, std::vector<ends>& pairs) {
    for (auto& [a, b] : pairs) bag.add(a, event::read, std::string(40, 'x'));
    for (auto& [a, b] : pairs) bag.modify(a, event::read | event::write);
    (void)bag.select(0s);
    for (auto& [a, b] : pairs) bag.modify(a, event::read, std::string(50, 'y'));
    (void)bag.select(0s);
    for (auto& [a, b] : pairs) {
        bag.remove(a);
        bag.add(a, event::none, "parked");
    }
}

TEST_P(every_allocation, may_fail_once_and_nothing_is_lost) {
    for (const backend_info& each : backends())
        if (GetParam() == each.name && !each.available) GTEST_SKIP() << "not here: " << each.reason;
    std::vector<ends> pairs(100);
    for (auto& [a, b] : pairs) std::tie(a, b) = socket::pair(nonblocking);
    long failed = 0;
    for (bool finished = false; !finished; ++failed) {
        ASSERT_LT(failed, 10'000);
        std::unique_ptr<selector<std::string>> bag;
        try {
            allocations_until_failure = failed;
            bag = std::make_unique<selector<std::string>>(GetParam());
            use(*bag, pairs);
            finished = true;
        } catch (const std::bad_alloc&) {
        } catch (const std::system_error& refused) {  // the double of a kernel allocates, too
            EXPECT_EQ(refused.code(), errc::out_of_memory) << refused.what();
        }
        allocations_until_failure = -1;
        if (!bag) continue;
        std::size_t counted = 0;
        for (auto key : bag->keys()) {
            ++counted;
            EXPECT_TRUE(bag->contains(key.descriptor()));
            EXPECT_FALSE(key.data.empty());
        }
        EXPECT_EQ(counted, bag->size());
        for (auto& [a, b] : pairs)
            if (bag->contains(a)) bag->remove(a);
        auto& [a, b] = pairs[50];
        bag->add(a, event::write, "after");
        int seen = 0;
        for (auto [key, events] : bag->select(1s))
            seen += events == event::write && key.data == "after";
        EXPECT_EQ(seen, 1) << "after allocation " << failed;
    }
    EXPECT_GT(failed, 10) << "there was nothing to fail";
}

std::vector<const char*> names() {
    std::vector<const char*> all;
    for (const backend_info& each : backends()) all.push_back(each.name);
    return all;
}

INSTANTIATE_TEST_SUITE_P(on, every_allocation, ::testing::ValuesIn(names()),
                         [](const auto& which) { return which.param; });

}  // namespace
}  // namespace selectors
