#include <array>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <selectors/buffer.hpp>

namespace selectors {
namespace {

std::string bytes_of(const_buffer buffer) {
    return {static_cast<const char*>(buffer.data()), buffer.size()};
}

TEST(const_buffer, is_made_from_what_holds_bytes) {
    EXPECT_EQ(bytes_of("literal"), "literal") << "without its final NUL";
    EXPECT_EQ(bytes_of(std::string{"string"}), "string");
    EXPECT_EQ(bytes_of(std::string_view{"view"}), "view");
    EXPECT_EQ(bytes_of(std::vector<char>{'a', 'b'}), "ab");
    const std::array<unsigned char, 2> array{'c', 'd'};
    EXPECT_EQ(bytes_of(array), "cd");
    EXPECT_EQ(bytes_of(std::span(array).first(1)), "c");
    char room[4] = {'e', 0, 'f', 0};
    EXPECT_EQ(bytes_of(room), std::string("e\0f\0", 4)) << "an array that may change is all of it";
    const std::vector<int> numbers{1, 2, 3};
    EXPECT_EQ(const_buffer{numbers}.size(), 3 * sizeof(int));
    EXPECT_EQ(const_buffer{}.size(), 0U);
    EXPECT_EQ(bytes_of({"abc", 2}), "ab");
}

TEST(mutable_buffer, is_made_from_what_can_be_written) {
    std::array<std::byte, 8> array;
    EXPECT_EQ(mutable_buffer{array}.data(), array.data());
    EXPECT_EQ(mutable_buffer{array}.size(), 8U);
    EXPECT_EQ(mutable_buffer{std::span(array).subspan(6)}.size(), 2U);
    char room[16];
    EXPECT_EQ(mutable_buffer{room}.size(), 16U);
    std::string text(5, ' ');
    EXPECT_EQ(mutable_buffer{text}.size(), 5U);
    std::vector<double> doubles(2);
    EXPECT_EQ(mutable_buffer{doubles}.size(), 16U);
}

template <class To, class From>
constexpr bool makes = std::is_convertible_v<From, To>;

static_assert(!makes<const_buffer, std::vector<std::string>&>);
static_assert(!makes<const_buffer, std::vector<const char*>&>);
static_assert(!makes<const_buffer, std::vector<const_buffer>&>);
static_assert(!makes<mutable_buffer, const std::string&>);
static_assert(!makes<mutable_buffer, std::span<const std::byte>>);

}  // namespace
}  // namespace selectors
