// The double itself, held to the manual pages where the backend does not: what it stands on must be true.
#include <array>
#include <cerrno>
#include <chrono>
#include <initializer_list>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/event.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace std::chrono_literals;

class kevent_double : public ::testing::Test {
  protected:
    kevent_double() {
        EXPECT_GE(queue, 0);
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    }
    ~kevent_double() override {
        for (const int each : {queue, ends[0], ends[1]})
            if (each >= 0) ::close(each);
    }

    static struct kevent change_of(int ident, int filter, int flags) {
        return {static_cast<uintptr_t>(ident),
                static_cast<int16_t>(filter),
                static_cast<uint16_t>(flags),
                0,
                0,
                nullptr};
    }
    /// 0, or errno.
    int change(int ident, int filter, int flags) const {
        const struct kevent one = change_of(ident, filter, flags);
        return ::kevent(queue, &one, 1, nullptr, 0, nullptr) < 0 ? errno : 0;
    }
    std::vector<struct kevent> poll(int room = 8) const {
        std::vector<struct kevent> seen(static_cast<std::size_t>(room));
        const timespec at_once{};
        const int count = ::kevent(queue, nullptr, 0, seen.data(), room, &at_once);
        EXPECT_GE(count, 0);
        seen.resize(static_cast<std::size_t>(count));
        return seen;
    }

    int queue = ::kqueue();
    int ends[2] = {-1, -1};
};

TEST_F(kevent_double, has_one_entry_a_filter) {
    ASSERT_EQ(::write(ends[1], "text", 4), 4);
    EXPECT_EQ(change(ends[0], EVFILT_READ, EV_ADD), 0);
    EXPECT_EQ(change(ends[0], EVFILT_WRITE, EV_ADD), 0);
    EXPECT_EQ(change(ends[0], EVFILT_READ, EV_ADD), 0) << "modifies, and makes no duplicate";
    const auto seen = poll();
    ASSERT_EQ(seen.size(), 2U);
    EXPECT_EQ(seen[0].filter, EVFILT_READ);
    EXPECT_EQ(seen[0].data, 4);
    EXPECT_EQ(seen[1].filter, EVFILT_WRITE);
    EXPECT_EQ(change(ends[0], EVFILT_READ, EV_DELETE), 0);
    EXPECT_EQ(poll().size(), 1U);
    EXPECT_EQ(change(ends[0], EVFILT_READ, EV_DELETE), ENOENT);
    EXPECT_EQ(change(ends[0], -4, EV_ADD), EINVAL);
}

TEST_F(kevent_double, gives_udata_back_as_it_was_last_set) {
    int one = 0;
    int two = 0;
    struct kevent add = change_of(ends[0], EVFILT_WRITE, EV_ADD);
    for (int* each : {&one, &two}) {
        add.udata = each;
        ASSERT_EQ(::kevent(queue, &add, 1, nullptr, 0, nullptr), 0);
        ASSERT_EQ(poll().size(), 1U);
        EXPECT_EQ(poll()[0].udata, each);
    }
}

TEST_F(kevent_double, says_the_end_while_there_are_data) {
    EXPECT_EQ(change(ends[0], EVFILT_READ, EV_ADD), 0);
    ASSERT_EQ(::write(ends[1], "text", 4), 4);
    EXPECT_FALSE(poll().at(0).flags & EV_EOF);
    ::close(ends[1]);
    ends[1] = -1;
    ASSERT_EQ(poll().size(), 1U);
    EXPECT_TRUE(poll()[0].flags & EV_EOF);
    EXPECT_EQ(poll()[0].data, 4);
    EXPECT_EQ(poll()[0].fflags, 0U);
}

TEST_F(kevent_double, ignores_the_timeout_if_there_is_no_room) {
    const timespec long_one{5, 0};
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(::kevent(queue, nullptr, 0, nullptr, 0, &long_one), 0);
    EXPECT_EQ(::kevent(queue, nullptr, 0, nullptr, 0, nullptr), 0);
    EXPECT_LT(std::chrono::steady_clock::now() - start, 4s);
}

TEST_F(kevent_double, waits_for_nanoseconds_and_refuses_what_is_no_time) {
    struct kevent room[1];
    const timespec short_one{0, 2'000'001};
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(::kevent(queue, nullptr, 0, room, 1, &short_one), 0);
    EXPECT_GE(std::chrono::steady_clock::now() - start, 2'000'001ns);
    for (const timespec wrong :
         {timespec{-1, 0}, timespec{0, 1'000'000'000}, timespec{100'000'001, 0}}) {
        EXPECT_EQ(::kevent(queue, nullptr, 0, room, 1, &wrong), -1);
        EXPECT_EQ(errno, EINVAL);
    }
}

TEST_F(kevent_double, puts_what_is_refused_into_the_list_and_reads_no_events_then) {
    ASSERT_EQ(::write(ends[1], "x", 1), 1);
    const struct kevent list[] = {change_of(ends[0], EVFILT_READ, EV_ADD),
                                  change_of(ends[0], EVFILT_WRITE, EV_DELETE),
                                  change_of(9999, EVFILT_READ, EV_ADD)};
    struct kevent room[4];
    ASSERT_EQ(::kevent(queue, list, 3, room, 4, nullptr), 2);
    EXPECT_TRUE(room[0].flags & room[1].flags & EV_ERROR);
    EXPECT_EQ(room[0].data, ENOENT);
    EXPECT_EQ(room[1].data, EBADF);
    EXPECT_EQ(room[1].ident, 9999U);
    EXPECT_EQ(poll().size(), 1U) << "the first was applied";
}

TEST_F(kevent_double, answers_each_change_that_asks_for_a_receipt) {
    struct kevent list[] = {change_of(ends[0], EVFILT_READ, EV_ADD | EV_RECEIPT),
                            change_of(ends[0], EVFILT_WRITE, EV_ADD | EV_RECEIPT)};
    ASSERT_EQ(::kevent(queue, list, 2, list, 2, nullptr), 2);  // one array may be both
    for (const auto& each : list) {
        EXPECT_TRUE(each.flags & EV_ERROR);
        EXPECT_EQ(each.data, 0);
    }
}

TEST_F(kevent_double, tells_once_what_is_to_be_told_once) {
    ASSERT_EQ(::write(ends[1], "x", 1), 1);
    EXPECT_EQ(change(ends[0], EVFILT_READ, EV_ADD | EV_ONESHOT), 0);
    EXPECT_EQ(poll().size(), 1U);
    EXPECT_TRUE(poll().empty());
    EXPECT_EQ(change(ends[0], EVFILT_READ, EV_ENABLE), ENOENT) << "it is deleted";

    EXPECT_EQ(change(ends[0], EVFILT_READ, EV_ADD | EV_DISPATCH), 0);
    EXPECT_EQ(poll().size(), 1U);
    EXPECT_TRUE(poll().empty());
    EXPECT_EQ(change(ends[0], EVFILT_READ, EV_ENABLE), 0) << "it is disabled";
    EXPECT_EQ(poll().size(), 1U);
    EXPECT_EQ(change(ends[0], EVFILT_READ, EV_DELETE), 0);

    EXPECT_EQ(change(ends[0], EVFILT_READ, EV_ADD | EV_CLEAR), 0);
    EXPECT_EQ(poll().size(), 1U);
    EXPECT_TRUE(poll().empty());
    ASSERT_EQ(::write(ends[1], "y", 1), 1);
    EXPECT_EQ(poll().size(), 1U) << "it happened again";
    EXPECT_TRUE(poll().empty());
}

TEST_F(kevent_double, is_silent_while_disabled) {
    ASSERT_EQ(::write(ends[1], "x", 1), 1);
    EXPECT_EQ(change(ends[0], EVFILT_READ, EV_ADD | EV_DISABLE), 0);
    EXPECT_TRUE(poll().empty());
    EXPECT_EQ(change(ends[0], EVFILT_READ, EV_ENABLE), 0);
    EXPECT_EQ(poll().size(), 1U);
    EXPECT_EQ(change(ends[0], EVFILT_READ, EV_DISABLE), 0);
    EXPECT_TRUE(poll().empty());
}

TEST_F(kevent_double, forgets_a_descriptor_that_ends_whatever_duplicates_there_are) {
    ASSERT_EQ(::write(ends[1], "x", 1), 1);
    const int number = ends[0];
    const int kept = ::dup(number);
    EXPECT_EQ(change(number, EVFILT_READ, EV_ADD), 0);
    ::close(number);
    EXPECT_TRUE(poll().empty());
    EXPECT_EQ(change(number, EVFILT_READ, EV_DELETE), EBADF);
    ASSERT_EQ(::dup2(kept, number), number);
    EXPECT_EQ(change(number, EVFILT_READ, EV_DELETE), ENOENT);
    EXPECT_EQ(change(number, EVFILT_READ, EV_ADD), 0);
    ASSERT_EQ(::dup3(kept, number, O_CLOEXEC), number);  // closes it on the way
    EXPECT_TRUE(poll().empty());
    ::close(kept);
}

TEST_F(kevent_double, is_not_inherited_by_a_child) {
    EXPECT_EQ(change(ends[0], EVFILT_WRITE, EV_ADD), 0);
    const pid_t child = ::fork();
    if (child == 0) {
        const bool gone = ::fcntl(queue, F_GETFD) < 0 && change(ends[0], EVFILT_WRITE, EV_ADD) == EBADF;
        ::_exit(gone ? 0 : 1);
    }
    int status = -1;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(poll().size(), 1U);
}

TEST_F(kevent_double, takes_turns_when_the_room_is_small) {
    std::vector<int> many;
    for (int i = 0; i < 3; ++i) {
        many.push_back(::dup(ends[0]));
        EXPECT_EQ(change(many.back(), EVFILT_WRITE, EV_ADD), 0);
    }
    for (int round = 0; round < 2; ++round)
        for (const int each : many) EXPECT_EQ(poll(1).at(0).ident, static_cast<uintptr_t>(each));
    for (const int each : many) ::close(each);
}

TEST_F(kevent_double, refuses_what_the_kernels_refuse) {
    int pipe_ends[2];
    ASSERT_EQ(::pipe(pipe_ends), 0);
    EXPECT_EQ(change(pipe_ends[0], EVFILT_EXCEPT, EV_ADD), EINVAL) << "is for sockets";
    ::close(pipe_ends[0]);
    EXPECT_EQ(change(pipe_ends[1], EVFILT_WRITE, EV_ADD), EPIPE);
    ::close(pipe_ends[1]);
    const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    EXPECT_EQ(change(null, EVFILT_READ, EV_ADD), EINVAL);
    ::close(null);
    const int file = ::open(::testing::TempDir().c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    EXPECT_EQ(change(file, EVFILT_READ, EV_ADD), 0);
    EXPECT_TRUE(poll().empty()) << "silent at the end of file";
    ::close(file);
    EXPECT_EQ(::kevent(ends[0], nullptr, 0, nullptr, 0, nullptr), -1);
    EXPECT_EQ(errno, EBADF);
}

TEST_F(kevent_double, is_silent_about_a_stream_that_was_never_connected) {
    const int fresh = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(change(fresh, EVFILT_READ, EV_ADD), 0);
    EXPECT_EQ(change(fresh, EVFILT_WRITE, EV_ADD), 0);
    EXPECT_TRUE(poll().empty());
    ::close(fresh);
}

}  // namespace
