#include <array>
#include <atomic>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <selectors/selector.hpp>
#include <selectors/socket.hpp>

#include "support/platform.hpp"

namespace selectors {
namespace {

using namespace selectors::testing;
using namespace std::chrono_literals;

std::string received_text(socket_view from) {
    std::array<char, 1000> room;
    return {room.data(), or_throw(from.recv(room))};
}

TEST(socket, closes_when_it_goes) {
    native_handle number;
    {
        socket made = socket::tcp();
        number = made.descriptor();
        EXPECT_TRUE(is_open(number));
        socket moved = std::move(made);
        EXPECT_FALSE(made);  // NOLINT(bugprone-use-after-move): moved-from is closed
        EXPECT_EQ(moved.descriptor(), number);
    }
    EXPECT_FALSE(is_open(number));
    socket released = socket::tcp();
    number = released.release();
    EXPECT_FALSE(released);
    EXPECT_TRUE(is_open(number));
    socket adopted{number};
    adopted = socket::tcp();
    EXPECT_EQ(is_open(number), adopted.descriptor() == number);
    adopted.close();
    EXPECT_FALSE(adopted);
    adopted.close();
}

TEST(socket, is_always_close_on_exec) {
    const auto [a, b] = socket::pair();
    const socket listener = listen(address::loopback(0));
    const socket client = or_throw(connect(or_throw(listener.local_address())));
    const socket accepted = or_throw(listener.accept()).socket;
    const socket fresh = socket::tcp();
    for (const socket_view each :
         {fresh.view(), a.view(), b.view(), listener.view(), client.view(), accepted.view()})
        EXPECT_FALSE(is_inherited(each.descriptor()));
}

TEST(socket, blocks_until_told_otherwise) {
    NEEDS(known_modes);
    EXPECT_EQ(socket::tcp().mode(), blocking);
    EXPECT_EQ(socket::udp(family::ipv6, nonblocking).mode(), nonblocking);
    const auto [a, b] = socket::pair();
    EXPECT_EQ(a.mode(), blocking);
    a.set_mode(nonblocking);
    EXPECT_EQ(a.mode(), nonblocking);
    std::array<char, 1> room;
    EXPECT_EQ(a.recv(room).error(), errc::would_block);
    a.set_mode(blocking);
    EXPECT_EQ(a.mode(), blocking);
    const socket listener = listen(address::loopback(0));
    EXPECT_EQ(listener.mode(), nonblocking);
    EXPECT_EQ(listener.accept().error(), errc::would_block);
    const auto first = or_throw(connect(or_throw(listener.local_address())));
    const auto second = or_throw(connect(or_throw(listener.local_address())));
    EXPECT_EQ(first.mode(), nonblocking);
    EXPECT_EQ(or_throw(listener.accept()).socket.mode(), blocking);
    EXPECT_EQ(or_throw(listener.accept(nonblocking)).socket.mode(), nonblocking);
}

TEST(socket, talks_over_tcp) {
    for (const family kind : {family::ipv4, family::ipv6}) {
        socket server = socket::tcp(kind);
        server.bind(address::loopback(0, kind));
        server.listen();
        const socket client = socket::tcp(kind);
        or_throw(client.connect(or_throw(server.local_address())));
        auto [peer, where] = or_throw(server.accept());
        EXPECT_EQ(where, or_throw(client.local_address()));
        EXPECT_EQ(or_throw(peer.peer_address()), where);
        EXPECT_EQ(or_throw(client.send("hello")), 5U);
        EXPECT_EQ(received_text(peer), "hello");
        ASSERT_TRUE(client.shutdown(shutdown_side::write));
        EXPECT_EQ(received_text(peer), "");
        EXPECT_EQ(or_throw(peer.send("still here")), 10U);
        EXPECT_EQ(received_text(client), "still here");
    }
}

TEST(socket, binds_to_a_name) {
    socket server = socket::tcp();
    server.bind("localhost", 0);
    server.listen();
    EXPECT_EQ(or_throw(server.local_address()).host(), "127.0.0.1");
    EXPECT_THROW(socket::tcp().bind("no such name", 0), std::system_error);
}

TEST(socket, sends_and_receives_in_pieces) {
    const auto [a, b] = socket::pair();
    const std::string body = "body";
    const const_buffer parts[] = {"head ", body, "", " tail"};
    EXPECT_EQ(or_throw(a.send(parts)), 14U);
    std::array<char, 5> first;
    std::array<char, 100> second;
    const mutable_buffer rooms[] = {first, second};
    EXPECT_EQ(or_throw(b.recv(rooms)), 14U);
    EXPECT_EQ(std::string(first.data(), 5), "head ");
    EXPECT_EQ(std::string(second.data(), 9), "body tail");
    const std::vector<const_buffer> many(2000, const_buffer{"x"});
    EXPECT_EQ(or_throw(a.send(many)), 1024U) << "as many as the system takes in one call";
}

TEST(socket, talks_over_udp) {
    const socket receiver = socket::udp();
    receiver.bind(address::loopback(0));
    const socket sender = socket::udp();
    sender.bind(address::loopback(0));
    const address to = or_throw(receiver.local_address());
    EXPECT_EQ(or_throw(sender.sendto("ping", to)), 4U);
    std::array<char, 100> room;
    const auto got = or_throw(receiver.recvfrom(room));
    EXPECT_EQ(std::string(room.data(), got.size), "ping");
    EXPECT_EQ(got.from, or_throw(sender.local_address()));
    EXPECT_FALSE(got.truncated);
    or_throw(sender.sendto("longer than the room", to));
    std::array<char, 4> little;
    const auto cut = or_throw(receiver.recvfrom(little));
    EXPECT_EQ(cut.size, 4U);
    EXPECT_TRUE(cut.truncated);
    or_throw(sender.connect(to));
    EXPECT_EQ(or_throw(sender.send("connected")), 9U);
    EXPECT_EQ(received_text(receiver), "connected");
}

TEST(socket, talks_over_unix_sockets_with_abstract_names) {
    NEEDS(unix_sockets);
    const std::string name = "@selectors-test-" + std::to_string(process_number());
    const address where = or_throw(address::parse(name));
    socket server = socket::unix_seqpacket();
    server.bind(where);
    server.listen();
    EXPECT_EQ(or_throw(server.local_address()).text(), name);
    const socket client = socket::unix_seqpacket();
    or_throw(client.connect(where));
    const socket peer = or_throw(server.accept()).socket;
    or_throw(client.send("one"));
    or_throw(client.send("two"));
    EXPECT_EQ(received_text(peer), "one") << "packets keep their edges";
    EXPECT_EQ(received_text(peer), "two");

    const socket datagrams = socket::unix_datagram();
    const address other = or_throw(address::parse(name + "-datagrams"));
    datagrams.bind(other);
    const socket anonymous = socket::unix_datagram();
    or_throw(anonymous.sendto("hi", other));
    std::array<char, 10> room;
    const auto got = or_throw(datagrams.recvfrom(room));
    EXPECT_EQ(got.size, 2U);
    EXPECT_EQ(got.from.kind(), family::none) << "an unbound sender has no name";
}

TEST(socket, has_options) {
    const socket made = socket::tcp();
    for (const option flag :
         {option::reuse_address, option::reuse_port, option::no_delay, option::keep_alive}) {
        if (flag == option::reuse_port && platform::shared_ports.lacking) {
            EXPECT_THROW(made.set(flag, 1), std::system_error);
            continue;
        }
        if (flag != option::reuse_address) {
            EXPECT_EQ(made.get(flag), 0);
        }
        made.set(flag, 1);
        EXPECT_EQ(made.get(flag), 1);
    }
    made.set(option::receive_buffer, 50'000);
    EXPECT_EQ(made.get(option::receive_buffer), size_told_for(50'000));
    made.set(option::send_buffer, 50'000);
    EXPECT_GE(made.get(option::send_buffer), 50'000);
    const socket ipv6 = socket::tcp(family::ipv6);
    ipv6.set(option::ipv6_only, 1);
    EXPECT_EQ(ipv6.get(option::ipv6_only), 1);
    const socket datagrams = socket::udp();
    datagrams.set(option::broadcast, 1);
    EXPECT_EQ(datagrams.get(option::broadcast), 1);
    made.set_linger(3s);
    linger value{};
    EXPECT_EQ(made.get_raw(SOL_SOCKET, SO_LINGER, std::span{&value, 1}), sizeof value);
    EXPECT_EQ(value.l_onoff, 1);
    EXPECT_EQ(value.l_linger, 3);
    made.set_linger(std::chrono::hours{1'000'000'000});
    made.set_no_linger();
    made.get_raw(SOL_SOCKET, SO_LINGER, std::span{&value, 1});
    EXPECT_EQ(value.l_onoff, 0);
    const int off = 0;
    made.set_raw(SOL_SOCKET, SO_KEEPALIVE, std::span{&off, 1});
    EXPECT_EQ(made.get(option::keep_alive), 0);
    int got = 0;
    EXPECT_EQ(made.get_raw(SOL_SOCKET, SO_TYPE, std::span{&got, 1}), sizeof got);
    EXPECT_EQ(got, SOCK_STREAM);
    EXPECT_THROW(datagrams.set(option::no_delay, 1), std::system_error);
    EXPECT_THROW((void)datagrams.get(option::ipv6_only), std::system_error);
}

TEST(socket, setting_up_names_the_call_and_the_address) {
    const socket taken = listen(address::loopback(0));
    const address where = or_throw(taken.local_address());
    try {
        socket::tcp().bind(where);
        FAIL();
    } catch (const std::system_error& refused) {
        EXPECT_EQ(refused.code(), errc::address_in_use);
        EXPECT_EQ(std::string{refused.what()}.find("bind to " + where.text()), 0U) << refused.what();
    }
    EXPECT_THROW(socket::tcp(family::unix_domain), std::invalid_argument);
    EXPECT_THROW(socket{}.listen(), std::system_error);
    EXPECT_THROW(socket{}.set_mode(nonblocking), std::system_error);
    EXPECT_THROW((void)socket{}.mode(), std::system_error);
    EXPECT_THROW(socket{}.bind("localhost", 0), std::system_error);
}

TEST(socket, every_call_on_a_closed_one_is_a_bad_descriptor) {
    const socket closed;
    std::array<char, 1> room;
    const mutable_buffer rooms[] = {room};
    const const_buffer parts[] = {"x"};
    EXPECT_EQ(closed.accept().error(), errc::bad_descriptor);
    EXPECT_EQ(closed.connect(address::loopback(1)).error(), errc::bad_descriptor);
    EXPECT_EQ(closed.take_error().error(), errc::bad_descriptor);
    EXPECT_EQ(closed.finish_connect().error(), errc::bad_descriptor);
    EXPECT_EQ(closed.recv(room).error(), errc::bad_descriptor);
    EXPECT_EQ(closed.recv(rooms).error(), errc::bad_descriptor);
    EXPECT_EQ(closed.send("x").error(), errc::bad_descriptor);
    EXPECT_EQ(closed.send(parts).error(), errc::bad_descriptor);
    EXPECT_EQ(closed.recvfrom(room).error(), errc::bad_descriptor);
    EXPECT_EQ(closed.sendto("x", address::loopback(1)).error(), errc::bad_descriptor);
    EXPECT_EQ(closed.shutdown(shutdown_side::both).error(), errc::bad_descriptor);
    EXPECT_EQ(closed.local_address().error(), errc::bad_descriptor);
    EXPECT_EQ(closed.peer_address().error(), errc::bad_descriptor);
}

// TRAPS 25: with the default disposition, which this test program has.
TEST(socket, no_write_path_raises_sigpipe) {
    ASSERT_TRUE(sigpipe_kills());
    auto [a, b] = socket::pair();
    hang_up(b);
    const const_buffer parts[] = {"x", "y"};
    EXPECT_TRUE(is_broken(a.send("x")));
    EXPECT_TRUE(is_broken(a.send(parts)));
    EXPECT_FALSE(a.sendto("x", address{}).has_value());
    (void)a.shutdown(shutdown_side::write);
    EXPECT_TRUE(is_broken(a.send("x")));
    EXPECT_TRUE(sigpipe_kills());
    auto [c, d] = socket::pair();
    ASSERT_TRUE(c.shutdown(shutdown_side::write));
    EXPECT_EQ(c.send("x").error(), errc::broken_pipe);
}

// TRAPS 27.
TEST(connect, to_a_port_where_nobody_listens_is_refused) {
    const socket reserved = socket::tcp();
    reserved.bind(address::loopback(0));
    EXPECT_EQ(socket::tcp().connect(or_throw(reserved.local_address())).error(), errc::refused);
}

TEST(connect, a_second_time_says_so) {
    const socket listener = listen(address::loopback(0));
    const socket client = socket::tcp();
    or_throw(client.connect(or_throw(listener.local_address())));
    const auto again = client.connect(or_throw(listener.local_address()));
    EXPECT_EQ(again.error(), std::errc::already_connected);
    EXPECT_TRUE(client.finish_connect());
}

TEST(connect, that_met_itself_is_refused) {
    const socket lonely = socket::tcp();
    lonely.bind(address::loopback(0));
    const address here = or_throw(lonely.local_address());
    ASSERT_TRUE(lonely.connect(here)) << "simultaneous open with itself";
    EXPECT_EQ(lonely.finish_connect().error(), errc::refused);
}

TEST(connect, to_a_full_unix_queue_would_block) {
    NEEDS(unix_sockets);
    const address where =
        or_throw(address::parse("@selectors-full-" + std::to_string(process_number())));
    const socket listener = listen(where, 1);
    std::vector<socket> waiting;
    for (;;) {
        auto next = connect(where);
        if (!next) {
            EXPECT_EQ(next.error(), errc::would_block);
            break;
        }
        waiting.push_back(std::move(*next));
        ASSERT_LE(waiting.size(), 10U);
    }
}

TEST(connect, to_nowhere_is_an_error) {
    EXPECT_FALSE(connect(address{}).has_value());
    EXPECT_FALSE(connect(or_throw(address::parse("/no/such/socket"))).has_value());
}

TEST(connect, on_a_blocking_socket_survives_signals) {
    NEEDS(signals);
    const signal_to_this_thread signal{[](int) {}};
    const socket listener = listen(address::loopback(0));
    std::atomic<bool> done = false;
    std::jthread disturber{[&] {
        while (!done) {
            signal.send();
            std::this_thread::sleep_for(50us);
        }
    }};
    for (int i = 0; i < 200; ++i) {
        const socket client = socket::tcp();
        ASSERT_TRUE(client.connect(or_throw(listener.local_address())));
        const socket peer = or_throw(listener.accept()).socket;
        or_throw(client.send("x"));
        EXPECT_EQ(received_text(peer), "x");
    }
    done = true;
    disturber.join();
}

TEST(socket_view, is_made_from_whatever_has_a_handle) {
    struct foreign {
        selectors::native_handle native_handle() const { return 42; }
    };
    EXPECT_EQ(socket_view{foreign{}}.descriptor(), native_handle{42});
    EXPECT_EQ(socket_view{7}, socket_view{7});
    EXPECT_FALSE(socket_view{});
    socket owner{invalid_handle};
    EXPECT_EQ(owner.view().descriptor(), invalid_handle);
}

}  // namespace
}  // namespace selectors
