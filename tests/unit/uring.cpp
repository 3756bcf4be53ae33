// What only io_uring can do wrong: a ring that is too small for everything.
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <selectors/selectors.hpp>

namespace selectors {
namespace {

using namespace std::chrono_literals;

bool available() {
    for (const backend_info& each : backends())
        if (std::string{each.name} == "uring") return each.available;
    return false;
}

class ring_of : public ::testing::Test {
  protected:
    void SetUp() override {
        if (!available()) GTEST_SKIP() << "io_uring is not here";
    }
    void TearDown() override { ::unsetenv("SELECTORS_URING_ENTRIES"); }

    static selector<int> bag_with(const char* entries) {
        ::setenv("SELECTORS_URING_ENTRIES", entries, 1);
        return selector<int>{"uring"};
    }
};

/// As many as a process may have here, at most 10,000.
std::vector<socket> many_sockets() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    const auto count = std::min<rlim_t>(10'000, limit.rlim_max - 100) / 2;
    std::vector<socket> made;
    for (rlim_t i = 0; i < count; ++i) {
        auto [one, other] = socket::pair(nonblocking);
        made.push_back(std::move(one));
        made.push_back(std::move(other));
    }
    return made;
}

// TRAPS 14: libuv#3991.
TEST_F(ring_of, four_entries_loses_nothing_of_ten_thousand_sockets) {
    auto bag = bag_with("4");
    const auto sockets = many_sockets();
    ::testing::Test::RecordProperty("sockets", static_cast<int>(sockets.size()));
    for (std::size_t i = 0; i < sockets.size(); ++i)
        bag.add(sockets[i], event::read, static_cast<int>(i));
    EXPECT_TRUE(bag.select(0s).empty());
    for (int lap = 0; lap < 3; ++lap) {
        for (const socket& each : sockets) ASSERT_TRUE(each.send("x"));  // all of them, at once
        std::vector<int> told(sockets.size());
        std::size_t sum = 0;
        for (std::size_t rounds = 0; sum < sockets.size() && rounds < sockets.size(); ++rounds)
            for (auto [key, events] : bag.select(1s)) {
                EXPECT_EQ(events, event::read);
                ++told[static_cast<std::size_t>(key.data)];
                ++sum;
                char room[8];
                ASSERT_TRUE(key.socket().recv(mutable_buffer{room, sizeof room}));
            }
        EXPECT_EQ(sum, sockets.size());
        for (std::size_t i = 0; i < told.size(); ++i) ASSERT_EQ(told[i], 1) << "socket " << i;
        EXPECT_TRUE(bag.select(1ms).empty());
    }
}

TEST_F(ring_of, four_entries_loses_no_edge) {
    auto bag = bag_with("4");
    const auto sockets = many_sockets();
    for (std::size_t i = 0; i < sockets.size(); ++i)
        bag.add(sockets[i], event::read, static_cast<int>(i), trigger::edge);
    EXPECT_TRUE(bag.select(0s).empty());
    for (int lap = 0; lap < 3; ++lap) {
        for (const socket& each : sockets) ASSERT_TRUE(each.send("x"));  // all of them, at once
        std::vector<bool> told(sockets.size());
        std::size_t sum = 0;
        for (std::size_t before = 1; sum < sockets.size() && sum != before;)
            for (before = sum; auto [key, events] : bag.select(1s)) {
                EXPECT_EQ(events, event::read);
                if (!told[static_cast<std::size_t>(key.data)]) ++sum;
                told[static_cast<std::size_t>(key.data)] = true;
                char room[8];
                ASSERT_TRUE(key.socket().recv(mutable_buffer{room, sizeof room}));
            }
        ASSERT_EQ(sum, sockets.size()) << "lap " << lap;
    }
}

TEST_F(ring_of, one_entry_is_enough) {
    auto bag = bag_with("1");
    auto [a, b] = socket::pair(nonblocking);
    bag.add(a, event::read, 7);
    bag.wake();
    EXPECT_TRUE(bag.select().empty());
    ASSERT_TRUE(b.send("x"));
    int seen = 0;
    for (auto [key, events] : bag.select(1s)) seen = key.data;
    EXPECT_EQ(seen, 7);
}

TEST_F(ring_of, more_ready_sockets_than_descriptors_are_allowed_are_all_told) {
    auto bag = bag_with("");
    std::vector<std::pair<socket, socket>> pairs;
    for (int i = 0; i < 100; ++i) {
        pairs.push_back(socket::pair(nonblocking));
        ASSERT_TRUE(pairs.back().second.send("x"));
        bag.add(pairs.back().first, event::read, i, trigger::oneshot);
    }
    rlimit before{};
    ::getrlimit(RLIMIT_NOFILE, &before);
    const rlimit lowered{50, before.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &lowered);  // poll(2): EINVAL for more than that
    int told = 0;
    for (int round = 0; round < 10; ++round)
        for ([[maybe_unused]] auto entry : bag.select(0s)) ++told;
    ::setrlimit(RLIMIT_NOFILE, &before);
    EXPECT_EQ(told, 100);
}

// proc_sys_poll and mounts_poll in the kernel tell of a change to whoever asks first, and that is the ring.
TEST_F(ring_of, a_changed_file_of_proc_is_told) {
    const char* const name = "/proc/sys/kernel/hostname";
    const socket watched{::open(name, O_RDONLY | O_CLOEXEC)};
    const socket changer{::open(name, O_RDWR | O_CLOEXEC)};
    char host[65];
    const ssize_t size = ::pread(changer.descriptor(), host, sizeof host, 0);
    if (size <= 0) GTEST_SKIP() << "only root may set the name of the host";
    for (const char* mechanism : {"epoll", "uring"}) {
        selector<int> bag{mechanism};
        bag.add(watched, event::priority, 1);
        EXPECT_TRUE(bag.select(0s).empty());
        ASSERT_EQ(::pwrite(changer.descriptor(), host, static_cast<std::size_t>(size), 0), size);
        int told = 0;
        for (int round = 0; round < 2; ++round)
            for (auto [key, events] : bag.select(10ms)) {
                EXPECT_EQ(events, event::priority | event::error);
                ++told;
            }
        EXPECT_EQ(told, 1) << mechanism;
    }
}

TEST_F(ring_of, what_was_about_to_fire_is_given_back_with_one_select) {
    auto bag = bag_with("");
    auto [a, b] = socket::pair(nonblocking);
    bag.add(a, event::read, 1);
    EXPECT_TRUE(bag.select(0s).empty());
    char room[8];
    ASSERT_TRUE(b.send("x"));
    ASSERT_TRUE(a.recv(mutable_buffer{room, sizeof room}));
    bag.remove(a);
    ::close(a.release());  // behind our back
    EXPECT_TRUE(bag.select(0s).empty());
    EXPECT_EQ(b.recv(mutable_buffer{room, sizeof room}), std::size_t{0});
}

TEST_F(ring_of, what_is_no_number_is_refused_with_a_sentence) {
    for (const char* wrong : {"0", "-4", "many", "4x", "1000000"}) try {
            bag_with(wrong);
            ADD_FAILURE() << wrong << " was taken";
        } catch (const std::invalid_argument& refused) {
            EXPECT_EQ(std::string{refused.what()}, "SELECTORS_URING_ENTRIES is \"" +
                                                       std::string{wrong} +
                                                       "\"; a number from 1 to 32768 is wanted");
        }
}

}  // namespace
}  // namespace selectors
