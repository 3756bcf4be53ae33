// Who holds a descriptor open, on which thread: what the mechanism has of a file, it gives back in time.
#include <array>
#include <thread>
#include <vector>

#include "conformance.hpp"

namespace selectors::testing {
namespace {

/// What the peer reads without waiting: 0 at the end of the stream, -1 if it has not come to it.
int read_now(socket_view peer) {
    std::array<char, 8> room;
    const auto read = peer.recv(room);
    return read ? static_cast<int>(*read) : -1;
}

/// The same, after a second at most: where another thread's ring had the file, the kernel takes its time.
int read_soon(socket_view peer) {
    selector bag;
    bag.add(peer, event::read);
    EXPECT_EQ(reported(bag.select(1s)).size(), 1U);
    return read_now(peer);
}

}  // namespace

CASE(a_removed_and_closed_socket_is_closed_for_its_peer_at_once) {
    auto bag = make_bag();
    auto [a, b] = make_pair();
    bag.add(a, event::read);
    EXPECT_TRUE(reported(bag.select(0s)).empty());
    bag.remove(a);
    EXPECT_EQ(read_now(b), -1);
    a.close();
    EXPECT_EQ(read_now(b), 0) << "no select came between";
}

CASE(a_modified_removed_and_closed_socket_is_closed_for_its_peer_at_once) {
    auto bag = make_bag();
    auto [a, b] = make_pair();
    bag.add(a, event::read);
    EXPECT_TRUE(reported(bag.select(0s)).empty());
    bag.modify(a, event::read | event::priority);
    EXPECT_TRUE(reported(bag.select(0s)).empty());
    bag.remove(a);
    a.close();
    EXPECT_EQ(read_now(b), 0);
}

CASE(a_parked_and_closed_socket_is_closed_for_its_peer_at_once) {
    auto bag = make_bag();
    auto [a, b] = make_pair();
    bag.add(a, event::read);
    EXPECT_TRUE(reported(bag.select(0s)).empty());
    bag.modify(a, event::none);
    EXPECT_TRUE(reported(bag.select(0s)).empty());
    bag.remove(a);
    a.close();
    EXPECT_EQ(read_now(b), 0);
}

CASE(one_that_fired_and_was_not_fetched_is_closed_for_its_peer_at_once) {
    auto bag = make_bag();
    auto [a, b] = make_pair();
    bag.add(a, event::read);
    EXPECT_TRUE(reported(bag.select(0s)).empty());
    put(b);
    take(a);  // whoever was about to tell of it has nothing to tell any more
    bag.remove(a);
    a.close();
    expect_silence(bag, 1ms);
    EXPECT_EQ(read_now(b), 0);
}

CASE(hundreds_that_are_removed_and_closed_are_closed_for_their_peers_at_once) {
    auto bag = make_bag();
    std::vector<two_ends> all;
    for (int i = 0; i < 300; ++i) {
        all.push_back(make_pair());
        bag.add(all.back().a, event::read);
    }
    EXPECT_TRUE(reported(bag.select(0s)).empty());
    for (std::size_t i = 0; i < 100; ++i) {  // so that the mechanism is about to tell of some
        put(all[i].b);
        take(all[i].a);
    }
    for (const two_ends& each : all) bag.remove(each.a);
    for (two_ends& each : all) each.a.close();
    for (std::size_t i = 0; i < all.size(); ++i) ASSERT_EQ(read_now(all[i].b), 0) << "pair " << i;
}

CASE(a_bag_that_goes_gives_everything_back_at_once) {
    auto [a, b] = make_pair();
    auto [c, d] = make_pair();
    {
        auto bag = make_bag();
        bag.add(a, event::read);
        bag.add(c, event::read, trigger::oneshot);
        EXPECT_TRUE(reported(bag.select(0s)).empty());
    }
    a.close();
    c.close();
    EXPECT_EQ(read_now(b), 0);
    EXPECT_EQ(read_now(d), 0);
}

CASE(the_port_of_a_removed_listener_can_be_bound_anew) {
    auto bag = make_bag();
    for (int turn = 0; turn < 20; ++turn) {
        socket first = socket::tcp();
        first.bind(address::loopback(0));
        first.listen();
        const address where = or_throw(first.local_address());
        bag.add(first, event::read);
        EXPECT_TRUE(reported(bag.select(0s)).empty());
        bag.remove(first);
        first.close();
        EXPECT_NO_THROW(socket::tcp().bind(where)) << "turn " << turn;
    }
}

CASE(the_data_that_owns_its_socket_closes_it_with_the_key) {
    struct connection {
        selectors::socket socket;
    };
    auto bag = make_bag<connection>();
    auto [a, b] = make_pair();
    const auto key = bag.add(connection{std::move(a)}, event::read);
    EXPECT_TRUE(reported(bag.select(0s)).empty());
    bag.remove(key);
    EXPECT_EQ(read_now(b), 0);
}

CASE(a_bag_may_move_to_another_thread_and_back) {
    auto bag = make_bag<int>();
    auto [a, b] = make_pair();
    auto [c, d] = make_pair();
    bag.add(a, event::read, 1);
    EXPECT_TRUE(reported(bag.select(0s)).empty());
    put(b);
    std::jthread{[&] {
        EXPECT_EQ(reported(bag.select(1s)), (events_by_descriptor{{a.descriptor(), event::read}}));
        take(a);
        bag.add(c, event::write, 2);
        EXPECT_EQ(reported(bag.select(1s)), (events_by_descriptor{{c.descriptor(), event::write}}));
        bag.modify(c, event::read);
        expect_silence(bag, 1ms);
    }}.join();
    put(d);
    EXPECT_EQ(reported(bag.select(1s)), (events_by_descriptor{{c.descriptor(), event::read}}));
    bag.remove(a);
    a.close();
    EXPECT_EQ(read_soon(b), 0);
}

CASE(a_bag_may_be_left_to_another_thread_with_changes_pending) {
    for (int turn = 0; turn < 10; ++turn) {
        auto bag = make_bag();
        auto [a, b] = make_pair();
        auto [c, d] = make_pair();
        bag.add(a, event::read);
        bag.add(c, event::read);
        EXPECT_TRUE(reported(bag.select(0s)).empty());
        bag.remove(a);
        std::jthread{[&, other = std::move(bag)]() mutable {
            put(d);
            EXPECT_EQ(reported(other.select(1s)),
                      (events_by_descriptor{{c.descriptor(), event::read}}));
        }}.join();
        a.close();  // the bag that was about to give it back is gone, and not by this thread
        EXPECT_EQ(read_soon(b), 0);
    }
}

CASE(all_that_became_ready_are_told_together) {
    constexpr std::size_t pairs = 500;
    auto bag = make_bag();
    std::vector<two_ends> all;
    for (std::size_t i = 0; i < pairs; ++i) {
        all.push_back(make_pair());
        bag.add(all.back().a, event::read);
    }
    EXPECT_TRUE(reported(bag.select(0s)).empty());
    for (const two_ends& each : all) put(each.b);
    EXPECT_EQ(reported(bag.select(0s)).size(), pairs);
    EXPECT_EQ(reported(bag.select(1s)).size(), pairs);
}

CASE(thousands_of_ready_sockets_are_all_told) {
    constexpr int pairs = 2500;
    auto bag = make_bag<int>();
    std::vector<two_ends> all;
    for (int i = 0; i < pairs; ++i) {
        all.push_back(make_pair());
        put(all.back().b);
        bag.add(all.back().a, event::read, i);
    }
    std::vector<int> told(pairs);
    int missing = pairs;
    for (int round = 0; round < 10 && missing > 0; ++round)
        for (auto [key, events] : bag.select(0s)) {
            if (told[static_cast<std::size_t>(key.data)]++ == 0) --missing;
            take(key.socket());
        }
    EXPECT_EQ(missing, 0);
    for (int times : told) EXPECT_EQ(times, 1);
    expect_silence(bag, 1ms);
}

}  // namespace selectors::testing
