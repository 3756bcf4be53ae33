// What is reported: merging, parking, hang-up, priority, files, high descriptors, fairness.
#include <cstdlib>
#include <set>
#include <vector>

#include "conformance.hpp"

namespace selectors::testing {
namespace {

/// What is reported for one descriptor in a fresh bag.
event asked_once(const std::string& backend, socket_view what, event interest) {
    selector<> bag{backend};
    bag.add(what, interest);
    const auto seen = reported(bag.select(0s));
    return seen.empty() ? event::none : seen.at(what.descriptor());
}

}  // namespace

CASE(level_repeats_until_it_is_served) {
    auto bag = make_bag();
    auto [a, b] = make_pair();
    bag.add(a, event::read);
    EXPECT_TRUE(reported(bag.select(0s)).empty());
    put(b);
    for (int i = 0; i < 3; ++i)
        EXPECT_EQ(reported(bag.select(1s)), (events_by_descriptor{{a.descriptor(), event::read}}));
    take(a);
    EXPECT_TRUE(reported(bag.select(0s)).empty());
}

// TRAPS 6: libkqueue#29, #59; CPython's kqueue yields two tuples.
CASE(read_and_write_ready_are_one_entry) {
    auto bag = make_bag();
    auto [a, b] = make_pair();
    put(b);
    bag.add(a, both);
    EXPECT_EQ(reported(bag.select(1s)), (events_by_descriptor{{a.descriptor(), both}}));
}

// cpython#110038: a kernel that counts filters, not descriptors.
CASE(many_ready_both_ways_are_one_entry_each) {
    auto bag = make_bag();
    std::vector<two_ends> pairs;
    events_by_descriptor all;
    for (int i = 0; i < 400; ++i) {
        pairs.push_back(make_pair());
        put(pairs.back().b);
        bag.add(pairs.back().a, both);
        all.emplace(pairs.back().a.descriptor(), both);
    }
    for (int round = 0; round < 3; ++round) EXPECT_EQ(reported(bag.select(1s)), all);
}

CASE(removing_one_direction_keeps_the_other) {
    auto bag = make_bag();
    auto [a, b] = make_pair();
    put(b);
    bag.add(a, both);
    bag.modify(a, event::read);
    EXPECT_EQ(reported(bag.select(1s)).at(a.descriptor()), event::read);
    bag.modify(a, event::write);
    EXPECT_EQ(reported(bag.select(1s)).at(a.descriptor()), event::write);
    bag.modify(a, both);
    EXPECT_EQ(reported(bag.select(1s)).at(a.descriptor()), both);
}

// TRAPS 5: netty#327.
CASE(parked_is_silent_even_for_a_hang_up) {
    auto bag = make_counted_bag();
    auto [a, b] = make_tcp_pair();
    auto [c, d] = make_pair();
    bag.add(a, event::read);
    bag.add(c, event::none);
    bag.modify(a, event::none);
    put(b);
    b.set_linger(0s);
    b.close();
    hang_up(d);
    const int before = counted().wait;
    expect_silence(bag, 50ms);
    EXPECT_LE(counted().wait - before, 2) << "it wakes up for what is parked";
    EXPECT_EQ(bag.size(), 2U);
    bag.modify(c, event::read);
    EXPECT_EQ(reported(bag.select(1s)),
              (events_by_descriptor{{c.descriptor(), event::read | hung_up}}));
}

CASE(hang_up_stands_beside_what_was_asked_for) {
    auto [a, b] = make_pair();
    hang_up(b);
    EXPECT_EQ(asked_once(backend(), a, event::read), event::read | hung_up);
    EXPECT_EQ(asked_once(backend(), a, event::write), event::write | hung_up);
    EXPECT_EQ(asked_once(backend(), a, both), both | hung_up);
    std::array<char, 1> room;
    const auto end = a.recv(room);
    EXPECT_TRUE(end ? *end == 0 : end.error() == errc::reset);
}

CASE(the_end_of_a_pipe_is_a_hang_up_with_read) {
    NEEDS(pipes);
    auto [read, write] = make_pipe();
    write.close();
    EXPECT_EQ(asked_once(backend(), read, event::read), event::read | event::hangup);
}

CASE(an_error_stands_beside_what_was_asked_for) {
    if (!platform::pipes.lacking) {
        auto [read, write] = make_pipe();
        read.close();
        EXPECT_EQ(asked_once(backend(), write, event::write), event::write | event::error);
    }
    auto [a, b] = make_tcp_pair();
    b.set_linger(0s);
    b.close();  // resets
    const event seen = asked_once(backend(), a, event::read);
    EXPECT_EQ(seen & (event::read | event::error), event::read | event::error) << to_string(seen);
    std::array<char, 1> room;
    EXPECT_TRUE(is_reset(a.recv(room)));
}

CASE(a_half_close_is_read_and_no_hang_up) {
    auto [a, b] = make_tcp_pair();
    ASSERT_TRUE(b.shutdown(shutdown_side::write));
    selector bag{backend()};
    bag.add(a, event::read);
    EXPECT_EQ(reported(bag.select(1s)).at(a.descriptor()), event::read);
    put(a, "still open this way");
}

CASE(a_half_close_of_either_side_is_no_hang_up_and_that_of_both_is) {
    auto [a, b] = make_tcp_pair();
    ASSERT_TRUE(a.shutdown(shutdown_side::write));
    EXPECT_EQ(asked_once(backend(), a, event::write), event::write);
    EXPECT_EQ(asked_once(backend(), a, both), event::write);
    EXPECT_EQ(asked_once(backend(), b, both), both);
    ASSERT_TRUE(b.shutdown(shutdown_side::write));
    if (backend_is("afd"))
        NOT_EXPRESSIBLE("the driver tells of the peer's half-close, not of one's own");
    for (const event interest : {event::read, event::write, both})
        EXPECT_EQ(asked_once(backend(), a, interest), interest | event::hangup);
}

CASE(a_half_close_does_not_wake_who_asked_for_priority_alone) {
    auto bag = make_counted_bag();
    auto [a, b] = make_tcp_pair();
    bag.add(a, event::priority);
    ASSERT_TRUE(b.shutdown(shutdown_side::write));
    const int before = counted().wait;
    expect_silence(bag, 20ms);
    expect_silence(bag, 5ms);
    EXPECT_LE(counted().wait - before, 4) << "it spins";
    bag.modify(a, event::priority | event::read);
    EXPECT_EQ(reported(bag.select(1s)), (events_by_descriptor{{a.descriptor(), event::read}}));
}

CASE(a_half_close_does_not_wake_who_waits_for_room) {
    for (const trigger mode : {trigger::level, trigger::oneshot, trigger::exclusive}) {
        if (mode == trigger::exclusive && !make_bag().backend().supports(mode)) continue;
        auto bag = make_counted_bag();
        auto [a, b] = make_tcp_pair();
        const std::vector<char> block(65536);
        while (a.send(block)) {
        }
        ASSERT_TRUE(b.shutdown(shutdown_side::write));
        bag.add(a, event::write, mode);
        const int before = counted().wait;
        expect_silence(bag, 20ms);
        expect_silence(bag, 5ms);
        EXPECT_LE(counted().wait - before, 6) << "it spins";
        std::vector<char> room(65536);
        const events_by_descriptor writable{{a.descriptor(), event::write}};
        for (int round = 0; round < 3; ++round) {
            while (b.recv(room)) {
            }
            EXPECT_EQ(reported(bag.select(5s)), writable);
            bag.modify(a, event::write);
        }
        EXPECT_EQ(reported(bag.select(5s)), writable);
    }
}

CASE(priority_can_be_asked_of_what_has_none) {
    NEEDS(pipes);
    auto bag = make_bag();
    auto [read, write] = make_pipe();
    bag.add(read, event::read | event::priority);
    EXPECT_TRUE(reported(bag.select(0s)).empty());
    write_to(write, "x");
    EXPECT_EQ(reported(bag.select(1s)), (events_by_descriptor{{read.descriptor(), event::read}}));
}

// mio#582: kqueue refuses to watch it.
CASE(pipes_that_nobody_reads_are_reported_until_they_are_removed) {
    NEEDS(pipes);
    auto bag = make_bag<int>();
    auto [a, b] = make_pair();
    auto [late_read, late] = make_pipe();
    bag.add(late, event::write, 0);
    late_read.close();
    std::vector<socket> pipes;
    events_by_descriptor all{{a.descriptor(), event::write},
                             {late.descriptor(), event::write | event::error}};
    for (int i = 0; i < 3; ++i) {
        auto [read, write] = make_pipe();
        pipes.push_back(std::move(write));
        read.close();
        bag.add(pipes.back(), event::write, i);
        all[pipes.back().descriptor()] = event::write | event::error;
    }
    bag.add(a, event::write, 4);
    EXPECT_EQ(reported(bag.select()), all);
    EXPECT_EQ(reported(bag.select(1s)), all);
    bag.modify(pipes[0], event::none);
    all.erase(pipes[0].descriptor());
    EXPECT_EQ(reported(bag.select(1s)), all);
    bag.modify(pipes[0], event::write);
    all[pipes[0].descriptor()] = event::write | event::error;
    EXPECT_EQ(reported(bag.select(1s)), all);
    for (const auto& each : pipes) bag.remove(each);
    bag.remove(late);
    bag.remove(a);
    expect_silence(bag, 10ms);
    bag.add(pipes[1], event::write, 5, trigger::oneshot);
    EXPECT_LT(time_of([&] { EXPECT_EQ(reported(bag.select(5s)).size(), 1U); }), 5s);
    expect_silence(bag, 10ms);
    if (!bag.backend().supports(trigger::edge)) return;
    bag.add(pipes[2], event::write, 6, trigger::edge);
    EXPECT_EQ(reported(bag.select(1s)).size(), 1U);
    expect_silence(bag, 10ms);
}

// TRAPS 27.
CASE(a_refused_connect_reports_write_and_says_so) {
    socket reserved = socket::tcp();
    reserved.bind(address::loopback(0));  // bound, and nobody listens
    auto client = connect(or_throw(reserved.local_address()));
    if (client) {
        auto bag = make_bag();
        bag.add(*client, event::write);
        const auto seen = reported(bag.select(5s));
        ASSERT_EQ(seen.size(), 1U);
        EXPECT_TRUE(seen.begin()->second & event::write);
        EXPECT_EQ(client->finish_connect().error(), errc::refused);
    } else {
        EXPECT_EQ(client.error(), errc::refused);
    }
}

CASE(a_connect_that_succeeds_reports_write) {
    const socket listener = listen(address::loopback(0));
    auto client = or_throw(connect(or_throw(listener.local_address())));
    auto bag = make_bag();
    bag.add(client, event::write);
    EXPECT_EQ(reported(bag.select(5s)), (events_by_descriptor{{client.descriptor(), event::write}}));
    EXPECT_TRUE(client.finish_connect());
}

// TRAPS 9: cpython#75027, polling#120.
CASE(priority_without_read_is_reported_alone) {
    auto bag = make_bag();
    auto [a, b] = make_tcp_pair();
    put(b);
    bag.add(a, event::priority);
    EXPECT_TRUE(reported(bag.select(0s)).empty()) << "plain data is no priority";
    put_urgent(b);
    EXPECT_EQ(reported(bag.select(1s)), (events_by_descriptor{{a.descriptor(), event::priority}}));
    bag.modify(a, event::priority | event::read);
    EXPECT_EQ(reported(bag.select(1s)),
              (events_by_descriptor{{a.descriptor(), event::priority | event::read}}));
    bag.modify(a, event::read);
    EXPECT_EQ(reported(bag.select(1s)), (events_by_descriptor{{a.descriptor(), event::read}}));
}

CASE(a_hang_up_with_priority_alone_is_reported) {
    if (backend_is("select"))
        NOT_EXPRESSIBLE("select(2) has no set that a hang-up wakes but those of read and write");
    auto [a, b] = make_pair();
    hang_up(b);
    EXPECT_EQ(asked_once(backend(), a, event::priority), hung_up);
}

// TRAPS 8: cpython#84432.
CASE(files_and_directories_are_always_ready) {
    NEEDS(files);
    const socket file = make_file();
    const socket folder = open_folder();
    const socket null = open_null_device();
    auto bag = make_bag<int>();
    bag.add(file, both, 1);
    bag.add(folder, event::read, 2);
    bag.add(null, event::write, 3);
    const events_by_descriptor all{{file.descriptor(), both},
                                   {folder.descriptor(), event::read},
                                   {null.descriptor(), event::write}};
    EXPECT_EQ(reported(bag.select()), all);
    EXPECT_EQ(reported(bag.select(1s)), all);
    go_to_the_end(file);
    EXPECT_EQ(reported(bag.select(0s)), all);
    bag.modify(file, event::none);
    bag.modify(folder, event::write);
    EXPECT_EQ(reported(bag.select(0s)), (events_by_descriptor{{folder.descriptor(), event::write},
                                                              {null.descriptor(), event::write}}));
    bag.modify(file, event::read);
    bag.remove(folder);
    EXPECT_EQ(bag.remove(null), 3);
    EXPECT_EQ(reported(bag.select(0s)), (events_by_descriptor{{file.descriptor(), event::read}}));
    bag.modify(file, event::priority);
    EXPECT_TRUE(reported(bag.select(0s)).empty());
}

CASE(a_file_can_be_parked_from_the_start) {
    NEEDS(files);
    const socket file = make_file();
    auto bag = make_bag();
    bag.add(file, event::none);
    EXPECT_TRUE(reported(bag.select(0s)).empty());
    bag.modify(file, event::read);
    EXPECT_EQ(reported(bag.select()).size(), 1U);
    bag.remove(file);
    EXPECT_TRUE(reported(bag.select(0s)).empty());
}

CASE(files_do_not_hide_the_sockets) {
    NEEDS(files);
    auto bag = make_bag();
    const socket file = make_file();
    std::vector<socket> many;
    for (int i = 0; i < 2000; ++i) {
        many.push_back(duplicate_of(file.descriptor()));
        bag.add(many.back(), event::read);
    }
    auto [a, b] = make_pair();
    put(b);
    bag.add(a, event::read);
    std::set<native_handle> seen;
    for (int round = 0; round < 4; ++round)
        for (const auto& [descriptor, events] : reported(bag.select())) seen.insert(descriptor);
    EXPECT_EQ(seen.size(), 2001U);
}

CASE(other_kinds_of_descriptors_work) {
    NEEDS(files);
    auto bag = make_bag();
    const socket counter = make_counter(1);
    bag.add(counter, both);
    EXPECT_EQ(reported(bag.select(1s)).at(counter.descriptor()), both);
    bag.remove(counter);

    const socket timer = make_timer();
    bag.add(timer, event::read);
    EXPECT_TRUE(reported(bag.select(0s)).empty());
    start(timer, 1ms);
    EXPECT_EQ(reported(bag.select(5s)).count(timer.descriptor()), 1U);
    bag.remove(timer);

    auto [read, write] = make_pipe();
    bag.add(read, event::read);
    bag.add(write, event::write);
    EXPECT_EQ(reported(bag.select(1s)), (events_by_descriptor{{write.descriptor(), event::write}}));
    bag.remove(write);

    auto [keyboard, typed] = make_terminal();
    bag.add(typed, event::read);
    EXPECT_EQ(reported(bag.select(0s)).count(typed.descriptor()), 0U);
    write_to(keyboard, "line\n");
    EXPECT_EQ(reported(bag.select(1s)).count(typed.descriptor()), 1U);

    const socket fifo = make_fifo("fifo-" + backend());
    bag.add(fifo, event::read);
    EXPECT_EQ(reported(bag.select(0s)).count(fifo.descriptor()), 0U);
    write_to(fifo, "x");
    EXPECT_EQ(reported(bag.select(1s)).count(fifo.descriptor()), 1U);
}

// tokio#4549: Linux reports a hang-up for a TCP socket that was never connected. kqueue's filters look at
// what was shut down, and nothing was; Windows has nothing to say either.
CASE(a_socket_before_listen_or_connect_is_as_the_kernel_has_it) {
    const socket fresh = socket::tcp();
    const bool silent = backend_is("kqueue") || backend_is("afd");
    EXPECT_EQ(asked_once(backend(), fresh, event::read),
              silent ? event::none : event::read | event::hangup);
    EXPECT_EQ(asked_once(backend(), fresh, event::none), event::none);
}

// TRAPS 7: AMQP-CPP#378, openssl#9686.
CASE(descriptors_beyond_fd_setsize_work) {
    NEEDS(small_numbers);
    auto bag = make_bag<int>();
    auto [a, b] = make_pair();
    std::vector<socket> high;
    for (const int number : {1023, 1024, 2000, 19'999}) {
        high.push_back(duplicate_at(a.descriptor(), static_cast<native_handle>(number)));
        bag.add(high.back(), both, number);
    }
    put(b);
    const auto seen = reported(bag.select(1s));
    EXPECT_EQ(seen.size(), 4U);
    for (const auto& [descriptor, events] : seen) EXPECT_EQ(events, both);
    for (const socket& each : high)
        EXPECT_EQ(static_cast<native_handle>(bag.remove(each)), each.descriptor());
}

CASE(what_does_not_fit_comes_first_next_time) {
    constexpr int pairs = 1500;  // one batch holds 1,024
    auto bag = make_bag();
    std::vector<two_ends> all;
    for (int i = 0; i < pairs; ++i) {
        all.push_back(make_pair());
        put(all.back().b);
        bag.add(all.back().a, event::read);
    }
    std::map<native_handle, int> times;
    const auto count_one = [&] {
        for (const auto& [descriptor, events] : reported(bag.select(1s))) ++times[descriptor];
    };
    count_one();
    const std::size_t first = times.size();
    EXPECT_GE(first, 512U);
    count_one();
    EXPECT_EQ(times.size(), std::size_t{pairs}) << "somebody waits while others are served twice";
    for (int i = 0; i < 10; ++i) count_one();
    const auto [least, most] = std::minmax_element(
        times.begin(), times.end(), [](const auto& x, const auto& y) { return x.second < y.second; });
    EXPECT_LE(most->second - least->second, 1);
}

// The bag's own room is that small only while a thousand files or failures fill the rest.
CASE(a_backend_fills_its_room_and_no_more_and_takes_turns) {
    const backend_handle mechanism = open_backend(backend());
    std::vector<two_ends> pairs;
    std::vector<socket> pipes;
    std::set<std::uint32_t> all;
    const auto watch = [&](native_handle what, event interest) {
        const auto slot = static_cast<std::uint32_t>(what);
        mechanism->add({what, slot, 1, interest, trigger::level, false});
        all.insert(slot);
    };
    for (int i = 0; i < 5; ++i) {
        pairs.push_back(make_pair());
        put(pairs.back().b);
        watch(pairs.back().a.descriptor(), both);
        if (platform::pipes.lacking) continue;
        pipes.push_back(make_pipe().write);  // and its reader is gone
        watch(pipes.back().descriptor(), event::write);
    }
    for (const std::size_t size : {std::size_t{2}, std::size_t{3}, std::size_t{7}}) {
        std::set<std::uint32_t> seen;
        for (int waits = 0; waits < 30; ++waits) {
            std::array<notice, 8> room;
            room.fill({0, 0, 77});
            const std::size_t count = mechanism->wait({room.data(), size}, 0ns);
            ASSERT_LE(count, size);
            for (std::size_t i = 0; i < count; ++i) {
                EXPECT_EQ(room[i].generation, 1U);
                seen.insert(room[i].slot);
            }
            for (std::size_t i = size; i < room.size(); ++i) EXPECT_EQ(room[i].generation, 77U);
        }
        EXPECT_EQ(seen, all) << size;
    }
}

CASE(many_idle_descriptors_do_not_disturb) {
    auto bag = make_bag();
    std::vector<two_ends> idle;
    for (int i = 0; i < 2000; ++i) {
        idle.push_back(make_pair());
        bag.add(idle.back().a, event::read);
    }
    put(idle[777].b);
    EXPECT_EQ(reported(bag.select(1s)),
              (events_by_descriptor{{idle[777].a.descriptor(), event::read}}));
    for (auto& each : idle) bag.remove(each.a);
    EXPECT_TRUE(reported(bag.select(0s)).empty());
}

CASE(five_hundred_connections_are_told_apart) {
    auto bag = make_bag<int>();
    std::vector<two_ends> all;
    for (int i = 0; i < 500; ++i) {
        all.push_back(make_tcp_pair());
        bag.add(all.back().a, event::read, i);
    }
    EXPECT_TRUE(reported(bag.select(0s)).empty());
    for (const std::size_t step : {7U, 13U, 1U}) {
        events_by_descriptor fed;
        for (std::size_t i = 0; i < all.size(); i += step) {
            put(all[i].b);
            fed.emplace(all[i].a.descriptor(), event::read);
        }
        // Not each need come with the first batch; but each comes, once, and nobody else.
        events_by_descriptor served;
        while (served.size() < fed.size()) {
            const auto range = bag.select(1s);
            ASSERT_FALSE(range.empty()) << served.size() << " of " << fed.size();
            for (auto [key, events] : range) {
                EXPECT_TRUE(served.emplace(key.descriptor(), events).second);
                take(key.socket());
            }
        }
        EXPECT_EQ(served, fed);
        EXPECT_TRUE(reported(bag.select(0s)).empty());
    }
}

CASE(datagrams_are_ready_one_by_one) {
    socket receiver = socket::udp(family::ipv4, nonblocking);
    receiver.bind(address::loopback(0));
    const socket sender = socket::udp();
    const address where = or_throw(receiver.local_address());
    auto bag = make_bag();
    bag.add(receiver, event::read);
    EXPECT_TRUE(reported(bag.select(0s)).empty());
    ASSERT_TRUE(sender.sendto("one", where));
    ASSERT_TRUE(sender.sendto("", where));
    for (const std::size_t size : {std::size_t{3}, std::size_t{0}}) {
        EXPECT_EQ(reported(bag.select(1s)).size(), 1U);
        std::array<char, 16> room;
        EXPECT_EQ(or_throw(receiver.recvfrom(room)).size, size);
    }
    EXPECT_TRUE(reported(bag.select(0s)).empty());
}

CASE(write_is_reported_again_when_there_is_room) {
    auto bag = make_bag();
    auto [a, b] = make_pair();
    const std::vector<char> block(65536);
    while (a.send(block)) {
    }
    bag.add(a, event::write);
    EXPECT_TRUE(reported(bag.select(0s)).empty());
    std::vector<char> room(65536);
    while (b.recv(room)) {
    }
    EXPECT_EQ(reported(bag.select(1s)), (events_by_descriptor{{a.descriptor(), event::write}}));
}

// TRAPS 26: twisted#10425. The queue is full of connections that were reset before they were accepted.
// 2,500 of them, or as many as SELECTORS_TEST_RESETS says.
CASE(aborted_connections_do_not_stop_the_listener) {
    const char* asked = std::getenv("SELECTORS_TEST_RESETS");
    const int rounds = (asked ? std::atoi(asked) : 2500) / 500;
    const socket listener = listen(address::loopback(0));
    const address where = or_throw(listener.local_address());
    auto bag = make_bag();
    bag.add(listener, event::read);
    for (int round = 0; round < rounds; ++round) {
        for (int i = 0; i < 500; ++i) {
            socket client = socket::tcp();
            ASSERT_TRUE(client.connect(where));
            client.set_linger(0s);
        }
        while (!reported(bag.select(0s)).empty())
            for (auto got = listener.accept(nonblocking); got || got.error() == errc::reset;
                 got = listener.accept(nonblocking)) {
            }
    }
    socket client = socket::tcp();
    ASSERT_TRUE(client.connect(where));
    EXPECT_EQ(reported(bag.select(1s)).size(), 1U);
    EXPECT_TRUE(listener.accept().has_value());
}

}  // namespace selectors::testing
