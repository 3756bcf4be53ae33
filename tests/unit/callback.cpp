#include <array>
#include <memory>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

#include <selectors/callback.hpp>

namespace selectors {
namespace {

int twice(int value) {
    return 2 * value;
}

/// Counts how many of it are alive.
struct counted {
    explicit counted(int& alive) : alive_{&alive} { ++*alive_; }
    counted(const counted& other) : alive_{other.alive_} { ++*alive_; }
    counted(counted&& other) noexcept : alive_{other.alive_} { ++*alive_; }
    ~counted() { --*alive_; }
    int operator()() { return *alive_; }
    int* alive_;
};

struct large_counted : counted {
    using counted::counted;
    std::array<char, 100> more{};
};

TEST(callback, calls_what_it_holds) {
    callback<int(int)> call = [](int value) { return value + 1; };
    EXPECT_EQ(call(1), 2);
    call = twice;
    EXPECT_EQ(call(21), 42);
    int sum = 0;
    callback<void(int)> add = [&sum](int value) { sum += value; };
    add(3);
    add(4);
    EXPECT_EQ(sum, 7);
}

TEST(callback, of_a_null_function_is_empty) {
    int (*nothing)(int) = nullptr;
    callback<int(int)> call = nothing;
    EXPECT_FALSE(call);
    EXPECT_THROW(call(1), std::logic_error);
    struct with_member {
        int member;
    };
    static_assert(!std::is_constructible_v<callback<int(with_member&)>, int with_member::*>);
}

TEST(callback, keeps_state_and_takes_what_only_moves) {
    callback<int()> count = [n = 0]() mutable { return ++n; };
    EXPECT_EQ(count(), 1);
    EXPECT_EQ(count(), 2);
    callback<int(std::unique_ptr<int>)> take =
        [held = std::make_unique<int>(1)](std::unique_ptr<int> more) { return *held + *more; };
    EXPECT_EQ(take(std::make_unique<int>(2)), 3);
}

TEST(callback, may_drop_a_result) {
    callback<void()> drop = [] { return 7; };
    drop();
}

TEST(callback, is_empty_until_it_holds_something) {
    callback<void()> empty;
    EXPECT_FALSE(empty);
    EXPECT_THROW(empty(), std::logic_error);
    empty = [] {};
    EXPECT_TRUE(empty);
    callback<void()> taken = std::move(empty);
    EXPECT_TRUE(taken);
    EXPECT_FALSE(empty);  // NOLINT(bugprone-use-after-move): moved-from is empty
    EXPECT_THROW(empty(), std::logic_error);
    taken = callback<void()>{};
    EXPECT_FALSE(taken);
}

template <class Held>
void destroys_exactly_once() {
    int alive = 0;
    {
        callback<int()> first = Held{alive};
        EXPECT_EQ(alive, 1);
        callback<int()> second = std::move(first);
        EXPECT_EQ(alive, 1);
        EXPECT_EQ(second(), 1);
        callback<int()> third = Held{alive};
        EXPECT_EQ(alive, 2);
        third = std::move(second);
        EXPECT_EQ(alive, 1);
        auto& self = third;
        third = std::move(self);
        EXPECT_EQ(third(), 1);
    }
    EXPECT_EQ(alive, 0);
}

TEST(callback, destroys_what_it_holds_exactly_once) {
    destroys_exactly_once<counted>();
    destroys_exactly_once<large_counted>();
}

TEST(callback, holds_32_bytes_inline) {
    static_assert(callback<void()>::inline_size == 32);
    static_assert(sizeof(callback<void()>) == 32 + sizeof(void*));
    std::array<char, 200> large{};
    large[199] = 'x';
    callback<char()> call = [large] { return large[199]; };
    callback<char()> moved = std::move(call);
    EXPECT_EQ(moved(), 'x');
}

TEST(callback, with_another_room_takes_over_one_with_less_or_more) {
    using small = callback<int(int), sizeof(void*)>;
    static_assert(sizeof(small) == 2 * sizeof(void*));
    int sum = 0;
    callback<int(int)> large = [&sum, twice = 2](int by) { return sum += twice * by; };
    small narrowed = std::move(large);
    EXPECT_EQ(narrowed(3), 6);
    callback<int(int)> widened = std::move(narrowed);
    EXPECT_EQ(widened(1), 8);
    EXPECT_FALSE(small{callback<int(int)>{}});
    EXPECT_FALSE(narrowed);
    EXPECT_THROW(narrowed(1), std::logic_error);
}

}  // namespace
}  // namespace selectors
