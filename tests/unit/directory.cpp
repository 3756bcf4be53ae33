// The table that finds slots where a descriptor is no small number, held against std::unordered_map.
#include "selector/directory.hpp"

#include <cstdint>
#include <random>
#include <set>
#include <unordered_map>
#include <vector>

#include <gtest/gtest.h>

#include <selectors/key.hpp>

namespace selectors::detail {
namespace {

constexpr std::size_t room_for_a_handle = std::is_same_v<directory, hashed_directory> ? 8 : 0;
static_assert(sizeof(key<int>) <= 16 + room_for_a_handle);
static_assert(sizeof(slot) <= 24 + room_for_a_handle);

using handle = hashed_directory::handle;

std::uint32_t put_in(hashed_directory& places, handle who) {
    const std::uint32_t slot = places.offer(who);
    places.enter(who, slot);
    return slot;
}

TEST(directory, finds_nothing_when_empty) {
    const hashed_directory places;
    EXPECT_EQ(places.find(0), nowhere);
    EXPECT_EQ(places.find(~handle{0}), nowhere);
}

TEST(directory, gives_dense_slots_and_the_last_one_left_first) {
    hashed_directory places;
    for (std::uint32_t i = 0; i < 100; ++i) EXPECT_EQ(put_in(places, 1000 + 4 * i), i);
    places.leave(1000 + 4 * 7, 7);
    places.leave(1000 + 4 * 50, 50);
    EXPECT_EQ(places.find(1000 + 4 * 7), nowhere);
    EXPECT_EQ(put_in(places, 4), 50U);
    EXPECT_EQ(put_in(places, 8), 7U);
    EXPECT_EQ(put_in(places, 12), 100U);
}

TEST(directory, an_offer_that_is_not_taken_changes_nothing) {
    hashed_directory places;
    for (int i = 0; i < 40; ++i) EXPECT_EQ(places.offer(static_cast<handle>(4 * i)), 0U);
    EXPECT_EQ(places.find(4), nowhere);
    EXPECT_EQ(put_in(places, 4), 0U);
}

/// Handles of few values, so that they come again; some close to each other, as a kernel gives them,
/// and some whose homes collide.
handle some_handle(std::mt19937_64& random) {
    const handle number = random() % 300;
    switch (random() % 3) {
    case 0: return 4 * number;
    case 1: return number << 32;
    default: return (number << 48) + 4;
    }
}

TEST(directory, agrees_with_an_unordered_map_through_random_steps) {
    const std::uint64_t seed = std::random_device{}();
    SCOPED_TRACE(seed);
    std::mt19937_64 random{seed};
    hashed_directory places;
    std::unordered_map<handle, std::uint32_t> model;
    std::set<std::uint32_t> taken;
    std::size_t most = 0;
    for (int step = 0; step < 300'000; ++step) {
        const handle who = some_handle(random);
        const auto known = model.find(who);
        ASSERT_EQ(places.find(who), known == model.end() ? nowhere : known->second) << "step " << step;
        // Grows and shrinks in turn.
        const bool entering = random() % 100 < (step / 1000 % 2 ? 70U : 30U);
        if (entering && known == model.end()) {
            const std::uint32_t slot = put_in(places, who);
            ASSERT_TRUE(taken.insert(slot).second) << "slot " << slot << " was given twice";
            model.emplace(who, slot);
            most = std::max(most, model.size());
            ASSERT_LT(slot, most) << "the slots are not dense";
        } else if (!entering && known != model.end()) {
            places.leave(who, known->second);
            taken.erase(known->second);
            model.erase(known);
        }
        if (step % 1000 != 0) continue;
        for (const auto& [each, slot] : model) ASSERT_EQ(places.find(each), slot);
    }
    EXPECT_GT(most, 200U);
}

TEST(directory, of_numbers_is_the_number) {
    EXPECT_EQ(numbered_directory::find(7), 7U);
    EXPECT_EQ(numbered_directory::offer(7), 7U);
    EXPECT_GT(numbered_directory::find(invalid_handle), 0x7FFF'FFFFU) << "no table has so many";
}

}  // namespace
}  // namespace selectors::detail
