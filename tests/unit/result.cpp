#include <cerrno>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include <selectors/result.hpp>

namespace selectors {
namespace {

std::error_code system_error_code(int number) {
    return {number, std::system_category()};
}

TEST(or_throw, gives_the_value_or_throws_the_error) {
    EXPECT_EQ(or_throw(result<int>{7}), 7);
    EXPECT_EQ(*or_throw(result<std::unique_ptr<int>>{std::make_unique<int>(7)}), 7);
    or_throw(result<void>{});
    try {
        or_throw(result<int>{std::unexpected{system_error_code(ECONNRESET)}}, "recv");
        FAIL();
    } catch (const std::system_error& thrown) {
        EXPECT_EQ(thrown.code(), errc::reset);
        EXPECT_EQ(std::string{thrown.what()}.substr(0, 5), "recv:");
    }
    EXPECT_THROW(or_throw(result<void>{std::unexpected{system_error_code(EIO)}}), std::system_error);
}

TEST(errc, matches_every_spelling_of_the_same_thing) {
    EXPECT_EQ(system_error_code(EAGAIN), errc::would_block);
    EXPECT_EQ(system_error_code(EWOULDBLOCK), errc::would_block);
    EXPECT_EQ(system_error_code(EINPROGRESS), errc::in_progress);
    EXPECT_EQ(system_error_code(EALREADY), errc::in_progress);
    EXPECT_EQ(system_error_code(ECONNREFUSED), errc::refused);
    EXPECT_EQ(system_error_code(ECONNRESET), errc::reset);
    EXPECT_EQ(system_error_code(ECONNABORTED), errc::reset);
    EXPECT_EQ(system_error_code(EPIPE), errc::broken_pipe);
    EXPECT_EQ(system_error_code(ETIMEDOUT), errc::timed_out);
    EXPECT_EQ(system_error_code(EADDRINUSE), errc::address_in_use);
    EXPECT_EQ(system_error_code(EACCES), errc::permission_denied);
    EXPECT_EQ(system_error_code(EPERM), errc::permission_denied);
    EXPECT_EQ(system_error_code(EMFILE), errc::too_many_descriptors);
    EXPECT_EQ(system_error_code(ENFILE), errc::too_many_descriptors);
    EXPECT_EQ(system_error_code(ENOMEM), errc::out_of_memory);
    EXPECT_EQ(system_error_code(ENOBUFS), errc::out_of_memory);
    EXPECT_EQ(system_error_code(EBADF), errc::bad_descriptor);
    EXPECT_NE(system_error_code(EIO), errc::would_block);
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
