#include <gtest/gtest.h>

#include <selectors/event.hpp>

#include "support/platform.hpp"

namespace selectors {
namespace {

TEST(event, is_a_set) {
    event both = event::read | event::write;
    EXPECT_TRUE(both & event::read);
    EXPECT_FALSE(both & event::priority);
    EXPECT_EQ(both - event::read, event::write);
    both -= event::write;
    both |= event::priority;
    both &= event::priority;
    EXPECT_EQ(both, event::priority);
    EXPECT_FALSE(event::none);
    EXPECT_EQ(event{}, event::none);
    static_assert((event::read | event::none) == event::read);
}

TEST(event, has_the_bits_of_poll) {
    NEEDS(the_bits_of_poll);
    EXPECT_EQ(event::read.bits(), unsigned{POLLIN});
    EXPECT_EQ(event::write.bits(), unsigned{POLLOUT});
    EXPECT_EQ(event::priority.bits(), unsigned{POLLPRI});
    EXPECT_EQ(event::error.bits(), unsigned{POLLERR});
    EXPECT_EQ(event::hangup.bits(), unsigned{POLLHUP});
}

TEST(event, prints_its_names) {
    EXPECT_EQ(to_string(event::none), "none");
    EXPECT_EQ(to_string(event::hangup | event::read | event::write), "read|write|hangup");
    EXPECT_EQ(to_string(event::priority | event::error), "priority|error");
    EXPECT_EQ(to_string(event::read | event::from_bits(0x400)), "read|1024");
}

TEST(trigger, prints_its_name) {
    EXPECT_STREQ(to_string(trigger::level), "level");
    EXPECT_STREQ(to_string(trigger::oneshot), "oneshot");
    EXPECT_STREQ(to_string(trigger::edge), "edge");
    EXPECT_STREQ(to_string(trigger::exclusive), "exclusive");
}

}  // namespace
}  // namespace selectors
