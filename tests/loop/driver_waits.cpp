// What a driver does with descriptors: who stands for them, how they are closed, what waiting costs.
#include "loop/driver_case.hpp"

namespace selectors::testing {
namespace {

// --- standing for readiness --------------------------------------------------------------------------

CASE(a_ready_operation_is_told_in_every_wait_until_nothing_is_there) {
    driven driver{make_counted_backend()};
    auto [a, b] = make_pair();
    watching op{a, event::read};
    EXPECT_FALSE(driver.submit(op));
    EXPECT_EQ(driver.turn(), 0);
    put(b);
    EXPECT_TRUE(driver.told(op));
    EXPECT_EQ(op.events, event::read);
    EXPECT_TRUE(driver.told(op, 2));
    take(a);
    EXPECT_EQ(driver.turn(5ms), 0);
    driver.carrier.cancel(op);
    EXPECT_EQ(driver.tell(), 1);
    EXPECT_FALSE(op.standing);
    EXPECT_EQ(op.error, errc::cancelled);
}

CASE(a_ready_operation_that_was_not_told_yet_is_told_once_of_all_that_was_found) {
    driven driver{make_counted_backend()};
    auto [a, b] = make_pair();
    watching op{a, event::write};
    EXPECT_FALSE(driver.submit(op));
    driver.carrier.wait(clock::now() + 1s);
    EXPECT_EQ(op.events, event::write);
    put(b);
    op.ask_for(both);
    EXPECT_FALSE(driver.submit(op));
    driver.carrier.wait(clock::now() + 1s);
    EXPECT_EQ(op.events, both);
    EXPECT_EQ(driver.tell(), 1);
    driver.carrier.wait(clock::now() + 1s);
    driver.carrier.cancel(op);
    EXPECT_EQ(driver.tell(), 1) << "readiness and its end at once";
    EXPECT_EQ(op.told, 2);
}

CASE(ready_operations_and_a_reader_share_a_descriptor) {
    driven driver{make_counted_backend()};
    auto [a, b] = make_pair();
    watching reads{a, event::read}, writes{a, event::write}, silent{a, event::none};
    receiving reader{a};
    EXPECT_FALSE(driver.submit(silent));
    EXPECT_FALSE(driver.submit(reads));
    EXPECT_FALSE(driver.submit(reader));
    EXPECT_FALSE(driver.submit(writes));
    EXPECT_TRUE(driver.told(writes));
    EXPECT_EQ(reads.told, 0);
    put(b, "shared");
    EXPECT_TRUE(driver.told(reader));
    EXPECT_EQ(reader.text(), "shared");
    EXPECT_EQ(reads.told, 1);
    driver.carrier.cancel(reads);
    driver.carrier.cancel(writes);
    EXPECT_EQ(driver.tell(), 2);
    EXPECT_FALSE(driver.submit(reader));
    put(b, "alone");
    EXPECT_TRUE(driver.told(reader, 2));
    EXPECT_EQ(reader.text(), "alone");
    EXPECT_EQ(silent.told, 0);
}

CASE(a_reader_that_waits_is_not_forgotten_when_others_come_and_go) {
    driven driver{make_counted_backend()};
    auto [a, b] = make_pair();
    receiving reader{a};
    EXPECT_FALSE(driver.submit(reader));
    watching writes{a, event::write};
    EXPECT_FALSE(driver.submit(writes));
    driver.carrier.cancel(writes);
    EXPECT_EQ(driver.tell(), 1);
    EXPECT_EQ(driver.turn(), 0);
    put(b, "there");
    EXPECT_TRUE(driver.told(reader));
    EXPECT_EQ(reader.text(), "there");
}

CASE(a_hang_up_is_told_to_all_but_those_who_ask_for_nothing) {
    driven driver{make_counted_backend()};
    auto [a, b] = make_pair();
    watching reads{a, event::read}, writes{a, event::write}, silent{a, event::none};
    for (watching* each : {&reads, &writes, &silent}) EXPECT_FALSE(driver.submit(*each));
    hang_up(b);
    while (!(writes.events & event::hangup)) driver.carrier.wait(clock::now() + 1s);
    driver.tell();
    EXPECT_EQ(reads.events, event::read | hung_up);
    EXPECT_EQ(writes.events, event::write | hung_up);
    EXPECT_EQ(silent.told, 0);
}

// --- closing -----------------------------------------------------------------------------------------

CASE(a_close_ends_what_waits_as_cancelled) {
    driven driver{make_counted_backend()};
    auto [a, b] = make_pair();
    fill_up(a);
    receiving reader{a};
    sending writer{a, "x"};
    watching first{a, event::read}, second{a, event::none};
    EXPECT_FALSE(driver.submit(reader));
    EXPECT_FALSE(driver.submit(writer));
    EXPECT_FALSE(driver.submit(first));
    EXPECT_FALSE(driver.submit(second));
    const native_handle number = a.release();
    driver.carrier.close(number);
    EXPECT_FALSE(is_open(number));
    EXPECT_EQ(driver.tell(), 4);
    for (const std::error_code error : {reader.error, writer.error, first.error, second.error})
        EXPECT_EQ(error, errc::cancelled);
    EXPECT_FALSE(first.standing || second.standing);
    driver.carrier.cancel(reader);
    driver.carrier.cancel(first);
    EXPECT_EQ(driver.turn(5ms), 0);
}

CASE(a_result_that_was_there_before_the_close_is_kept) {
    driven driver{make_counted_backend()};
    auto [a, b] = make_pair();
    receiving reader{a};
    EXPECT_FALSE(driver.submit(reader));
    put(b, "before");
    while (driver.carrier.completed.empty()) driver.carrier.wait(clock::now() + 1s);
    driver.carrier.close(a.release());
    EXPECT_EQ(driver.tell(), 1);
    EXPECT_FALSE(reader.error);
    EXPECT_EQ(reader.text(), "before");
}

CASE(a_number_that_is_closed_and_used_anew_is_somebody_else) {
    driven driver{make_counted_backend()};
    auto [a, b] = make_pair();
    receiving before{a};
    before.of_stream = true;
    EXPECT_FALSE(driver.submit(before));
    put(b, "old");
    EXPECT_TRUE(driver.told(before));
    const native_handle number = a.release();
    driver.carrier.close(number);
    auto [c, d] = make_pair();
    renumber(c, number);
    receiving reader{c};
    put(d, "new");
    EXPECT_TRUE(driver.submit(reader)) << "what is known of the old one holds for the new one";
    EXPECT_EQ(reader.text(), "new");
    EXPECT_FALSE(driver.submit(reader));
    put(d, "more");
    EXPECT_TRUE(driver.told(reader));
    EXPECT_EQ(reader.text(), "more");
}

/// A library closes its descriptor and has yet to take its watch away; meanwhile we accept, are given that
/// number, and wait for it. Whatever the kernel was told of the number, it was told of another file.
CASE(a_number_that_was_closed_under_a_ready_operation_serves_a_reader) {
    NEEDS(small_numbers);
    driven driver{make_counted_backend()};
    auto [a, b] = make_pair();
    const native_handle number = a.descriptor();
    watching old{a, both - event::write};
    EXPECT_FALSE(driver.submit(old));
    EXPECT_EQ(driver.turn(), 0);
    a.close();
    auto [c, d] = make_pair();
    renumber(c, number);
    receiving reader{c};
    EXPECT_FALSE(driver.submit(reader));
    put(d, "ours");
    EXPECT_TRUE(driver.told(reader));
    EXPECT_EQ(reader.text(), "ours");
    driver.carrier.cancel(old);
    driver.tell();
    EXPECT_FALSE(driver.submit(reader));
    put(d, "still");
    EXPECT_TRUE(driver.told(reader, 2));
    EXPECT_EQ(reader.text(), "still");
}

// --- waiting -----------------------------------------------------------------------------------------

CASE(a_wait_lasts_until_its_time_and_a_wake_ends_it) {
    driven driver{make_counted_backend()};
    const auto start = clock::now();
    driver.carrier.wait(start + 5ms);
    EXPECT_GE(clock::now() - start, 5ms);
    driver.carrier.wake();
    driver.carrier.wait(detail::time_point::max());
}

/// Two waits: one that is woken and tells the kernel to be silent, and one that lasts.
CASE(what_nobody_waits_for_any_more_costs_one_wake_up) {
    driven driver{make_counted_backend()};
    auto [a, b] = make_pair();
    receiving reader{a};
    reader.of_stream = true;
    EXPECT_FALSE(driver.submit(reader));
    put(b);
    EXPECT_TRUE(driver.told(reader));
    put(b, "for nobody");
    const auto start = clock::now();
    int wake_ups = 0;
    for (; clock::now() - start < 30ms; ++wake_ups) EXPECT_EQ(driver.turn(30ms), 0);
    EXPECT_LE(wake_ups, 2);
    EXPECT_TRUE(driver.submit(reader)) << "the wake-up said that there is something";
    EXPECT_EQ(reader.text(), "for nobody");
    EXPECT_FALSE(driver.submit(reader)) << "and it is watched again when somebody waits";
    put(b, "for us");
    EXPECT_TRUE(driver.told(reader, 2));
    EXPECT_EQ(reader.text(), "for us");
}

CASE(a_hang_up_that_nobody_waits_for_costs_one_wake_up) {
    driven driver{make_counted_backend()};
    auto [a, b] = make_pair();
    receiving reader{a};
    EXPECT_FALSE(driver.submit(reader));
    put(b);
    EXPECT_TRUE(driver.told(reader));
    hang_up(b);
    const auto start = clock::now();
    int wake_ups = 0;
    for (; clock::now() - start < 30ms; ++wake_ups) EXPECT_EQ(driver.turn(30ms), 0);
    EXPECT_LE(wake_ups, 3);
}

CASE(an_echo_changes_nothing_of_what_the_kernel_was_asked_for) {
    driven driver{make_counted_backend()};
    auto [a, b] = make_pair();
    receiving reader{a};
    reader.of_stream = true;
    EXPECT_FALSE(driver.submit(reader));
    constexpr int messages = 200;
    int changes = 0, waits = 0;
    for (int i = 0; i < messages; ++i) {
        if (i == 1) changes = counted().changes(), waits = counted().wait;
        put(b, "echo");
        ASSERT_TRUE(driver.told(reader, i + 1));
        const std::string message = reader.text();
        sending answer{a, message};
        EXPECT_TRUE(driver.submit(answer));
        EXPECT_FALSE(driver.submit(reader));
        EXPECT_EQ(drain(b), 4U);
    }
    EXPECT_EQ(counted().changes() - changes, 0);
    // A mechanism may wake once for its own business.
    EXPECT_LE(counted().wait - waits, messages);
}

}  // namespace
}  // namespace selectors::testing
