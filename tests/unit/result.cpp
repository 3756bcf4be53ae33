#include <cerrno>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include <selectors/result.hpp>

#include "support/platform.hpp"

namespace selectors {
namespace {

using namespace selectors::testing;

std::error_code system_error_code(int number) {
    return {number, std::system_category()};
}

TEST(or_throw, gives_the_value_or_throws_the_error) {
    EXPECT_EQ(or_throw(result<int>{7}), 7);
    EXPECT_EQ(*or_throw(result<std::unique_ptr<int>>{std::make_unique<int>(7)}), 7);
    or_throw(result<void>{});
    try {
        or_throw(result<int>{std::unexpected{system_error_code(SYSTEM_ERROR(CONNRESET))}}, "recv");
        FAIL();
    } catch (const std::system_error& thrown) {
        EXPECT_EQ(thrown.code(), errc::reset);
        EXPECT_EQ(std::string{thrown.what()}.substr(0, 5), "recv:");
    }
    EXPECT_THROW(or_throw(result<void>{std::unexpected{system_error_code(other_codes::io_error)}}),
                 std::system_error);
}

TEST(errc, matches_every_spelling_of_the_same_thing) {
    EXPECT_EQ(system_error_code(other_codes::try_again), errc::would_block);
    EXPECT_EQ(system_error_code(SYSTEM_ERROR(WOULDBLOCK)), errc::would_block);
    EXPECT_EQ(system_error_code(SYSTEM_ERROR(INPROGRESS)), errc::in_progress);
    EXPECT_EQ(system_error_code(SYSTEM_ERROR(ALREADY)), errc::in_progress);
    EXPECT_EQ(system_error_code(SYSTEM_ERROR(CONNREFUSED)), errc::refused);
    EXPECT_EQ(system_error_code(SYSTEM_ERROR(CONNRESET)), errc::reset);
    EXPECT_EQ(system_error_code(SYSTEM_ERROR(CONNABORTED)), errc::reset);
    EXPECT_EQ(system_error_code(other_codes::broken_pipe), errc::broken_pipe);
    EXPECT_EQ(system_error_code(SYSTEM_ERROR(TIMEDOUT)), errc::timed_out);
    EXPECT_EQ(system_error_code(SYSTEM_ERROR(ADDRINUSE)), errc::address_in_use);
    EXPECT_EQ(system_error_code(SYSTEM_ERROR(ACCES)), errc::permission_denied);
    EXPECT_EQ(system_error_code(other_codes::not_permitted), errc::permission_denied);
    EXPECT_EQ(system_error_code(SYSTEM_ERROR(MFILE)), errc::too_many_descriptors);
    EXPECT_EQ(system_error_code(other_codes::no_files_left), errc::too_many_descriptors);
    EXPECT_EQ(system_error_code(other_codes::no_memory), errc::out_of_memory);
    EXPECT_EQ(system_error_code(SYSTEM_ERROR(NOBUFS)), errc::out_of_memory);
    EXPECT_EQ(system_error_code(other_codes::bad_descriptor), errc::bad_descriptor);
    EXPECT_NE(system_error_code(other_codes::io_error), errc::would_block);
    EXPECT_NE(system_error_code(0), errc::would_block);
    EXPECT_EQ(std::make_error_code(std::errc::connection_refused), errc::refused);
}

TEST(errc, says_what_it_is) {
    for (int code = 1; code <= static_cast<int>(errc::bad_descriptor); ++code) {
        const auto text = make_error_condition(static_cast<errc>(code)).message();
        EXPECT_FALSE(text.empty());
        EXPECT_NE(text, "unknown condition") << code;
    }
    EXPECT_EQ(make_error_condition(static_cast<errc>(99)).message(), "unknown condition");
    EXPECT_STREQ(errc_category().name(), "selectors");
}

}  // namespace
}  // namespace selectors
