// listen(): the helper, and Unix paths that somebody left behind. TRAPS 32, libuv#4040.
#include <atomic>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <selectors/socket.hpp>

#include "support/platform.hpp"

namespace selectors {
namespace {

using namespace selectors::testing;

/// A folder of its own, gone with it.
class folder {
  public:
    folder() {
        static int made = 0;
        path_ = std::filesystem::temp_directory_path() /
                ("selectors-" + std::to_string(process_number()) + "-" + std::to_string(++made));
        std::filesystem::create_directory(path_);
    }
    folder(const folder&) = delete;
    folder& operator=(const folder&) = delete;
    ~folder() { std::filesystem::remove_all(path_); }
    address operator/(const char* name) const {
        return or_throw(address::parse((path_ / name).string()));
    }

  private:
    std::filesystem::path path_;
};

TEST(listen, takes_an_address_a_name_or_a_text) {
    EXPECT_EQ(or_throw(listen("localhost", 0).local_address()).host(), "127.0.0.1");
    EXPECT_EQ(or_throw(listen("127.0.0.1:0").local_address()).host(), "127.0.0.1");
    EXPECT_EQ(or_throw(listen("[::1]:0").local_address()).host(), "::1");
    EXPECT_THROW(listen("127.0.0.1"), std::system_error);
    EXPECT_THROW(listen(address{}), std::invalid_argument);
}

TEST(listen, can_start_again_while_old_connections_linger) {
    socket first = listen(address::loopback(0));
    const address where = or_throw(first.local_address());
    const socket client = or_throw(connect(where));
    socket peer = or_throw(first.accept()).socket;
    peer.close();  // this side closes first: TIME_WAIT is here
    first.close();
    EXPECT_NO_THROW(listen(where));
}

TEST(listen, a_port_that_is_taken_is_address_in_use) {
    const socket first = listen(address::loopback(0));
    try {
        listen(or_throw(first.local_address()));
        FAIL();
    } catch (const std::system_error& refused) {
        EXPECT_EQ(refused.code(), errc::address_in_use);
    }
}

TEST(listen, shares_a_port_with_who_shares_it_too) {
    NEEDS(shared_ports);
    const socket first = listen(address::loopback(0), shared_port);
    const address where = or_throw(first.local_address());
    const socket second = listen(where, shared_port);
    EXPECT_EQ(or_throw(second.local_address()), where);
    EXPECT_NO_THROW(listen("127.0.0.1", where.port(), shared_port));
    EXPECT_NO_THROW(listen(where.text(), shared_port));
    EXPECT_THROW(listen(where), std::system_error);
}

TEST(listen, shares_no_port_where_that_cannot_be) {
    NEEDS(unix_sockets);
    const folder here;
    EXPECT_THROW(listen(here / "server.sock", shared_port), std::invalid_argument);
}

TEST(listen, replaces_the_socket_file_of_a_server_that_is_gone) {
    NEEDS(unix_sockets);
    const folder here;
    const address where = here / "server.sock";
    listen(where);  // and gone
    EXPECT_TRUE(std::filesystem::exists(where.host()));
    const socket second = listen(where);
    EXPECT_TRUE(connect(where).has_value());
}

TEST(listen, leaves_the_socket_file_of_a_server_that_lives) {
    NEEDS(unix_sockets);
    const folder here;
    const address where = here / "server.sock";
    const socket first = listen(where);
    try {
        listen(where);
        FAIL();
    } catch (const std::system_error& refused) {
        EXPECT_EQ(refused.code(), errc::address_in_use);
    }
    EXPECT_TRUE(connect(where).has_value());
}

TEST(listen, never_removes_what_is_no_socket) {
    NEEDS(unix_sockets);
    const folder here;
    const address where = here / "precious";
    std::filesystem::create_directory(where.host());
    EXPECT_THROW(listen(where), std::system_error);
    EXPECT_TRUE(std::filesystem::is_directory(where.host()));
    EXPECT_THROW(listen(here / "no/such/folder/x"), std::system_error);
}

TEST(listen, of_many_that_find_one_stale_file_exactly_one_wins) {
    NEEDS(unix_sockets);
    for (int round = 0; round < 20; ++round) {
        const folder here;
        const address where = here / "server.sock";
        listen(where);
        std::atomic<int> winners = 0;
        std::vector<socket> servers(4);
        {
            std::vector<std::jthread> starters;
            for (socket& server : servers)
                starters.emplace_back([&] {
                    try {
                        server = listen(where);
                        ++winners;
                    } catch (const std::system_error&) {
                    }
                });
        }
        EXPECT_EQ(winners, 1);
        const socket client = or_throw(connect(where));
        int reached = 0;
        for (const socket& server : servers)
            if (server) reached += server.accept().has_value();
        EXPECT_EQ(reached, 1) << "the winner lost its file";
    }
}

}  // namespace
}  // namespace selectors
