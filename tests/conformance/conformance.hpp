// conformance/conformance.hpp - one suite, the identical cases on every backend.
//
//     CASE(remove_in_the_same_batch_silences_the_key) {
//         auto bag = make_bag<int>();
//         ...
//     }
//
// registers conformance.epoll.remove_in_the_same_batch_silences_the_key, and the same for poll and
// select. What a mechanism cannot express is said in the case, with its reason: NOT_EXPRESSIBLE(...);
// and what a platform cannot: NEEDS(...).
#pragma once

#include <array>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include <selectors/selectors.hpp>

#include "support/counting_backend.hpp"
#include "support/platform.hpp"

namespace selectors::testing {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

class conformance_case : public ::testing::Test {
  public:
    void on(const backend_info& mechanism) {
        backend_ = mechanism.name;
        if (!mechanism.available) not_here_ = mechanism.reason;
    }

  protected:
    void SetUp() override {
        if (!not_here_.empty()) GTEST_SKIP() << "not here: " << not_here_;
    }

    /// "epoll", "poll", "select": for what only one of them can or cannot do.
    std::string backend() const { return backend_; }
    bool backend_is(std::string_view name) const { return backend_ == name; }

    template <class Data = none>
    selector<Data> make_bag() const {
        return selector<Data>{backend_};
    }
    /// A backend that counts into counted().
    backend_handle make_counted_backend() {
        return backend_handle{new counting_backend{open_backend(backend_), calls_}};
    }
    template <class Data = none>
    selector<Data> make_counted_bag() {
        return selector<Data>{make_counted_backend()};
    }
    calls& counted() const { return *calls_; }

  private:
    std::string backend_;
    std::string not_here_;
    std::shared_ptr<calls> calls_ = std::make_shared<calls>();
};

using case_factory = conformance_case* (*)();
bool register_case(const char* name, case_factory make, const char* file, int line);

#define CASE(name)                                                                                     \
    class name : public ::selectors::testing::conformance_case {                                       \
        void TestBody() override;                                                                      \
    };                                                                                                 \
    [[maybe_unused]] static const bool name##_is_registered = ::selectors::testing::register_case(     \
        #name, [] { return static_cast<::selectors::testing::conformance_case*>(new name); },          \
        __FILE__, __LINE__);                                                                           \
    void name::TestBody()

/// A connected pair of non-blocking sockets: Unix ones, or TCP where there are none.
struct two_ends {
    socket a;
    socket b;
};
inline two_ends make_pair() {
    auto [a, b] = socket::pair(nonblocking);
    return {std::move(a), std::move(b)};
}

/// A connected pair of non-blocking TCP sockets on loopback.
inline two_ends make_tcp_pair() {
    const socket listener = listen(address::loopback(0));
    socket client = or_throw(connect(or_throw(listener.local_address())));
    selector bag;
    bag.add(listener, event::read);
    for ([[maybe_unused]] auto entry : bag.select()) break;
    return {or_throw(listener.accept(nonblocking)).socket, std::move(client)};
}

inline void put(socket_view to, std::string_view text = "x") {
    ASSERT_EQ(or_throw(to.send(text)), text.size());
}
inline void take(socket_view from) {
    std::array<char, 4096> room;
    ASSERT_TRUE(from.recv(room).has_value());
}

/// One byte of priority data.
inline void put_urgent(socket_view to) {
    ASSERT_EQ(::send(to.descriptor(), "!", 1, MSG_OOB), 1);
}

/// The number of a descriptor that was open a moment ago.
inline native_handle closed_descriptor() {
    auto [a, b] = socket::pair();
    return a.descriptor();
}

/// Moves the descriptor of `what` to exactly `number`, closing what was there.
inline void renumber(socket& what, native_handle number) {
    if (what.descriptor() == number) return;
    what = duplicate_at(what.descriptor(), number);
}

/// Runs in a forked child; the wait status, 0 if what it says is true.
inline int in_child(const std::function<bool()>& body) {
    return child{body}.join();
}

/// What one select reports, by descriptor. A descriptor that is reported twice fails the test.
template <class Range>
std::map<native_handle, event> reported(Range&& range) {
    std::map<native_handle, event> seen;
    for (auto [key, events] : range)
        EXPECT_TRUE(seen.emplace(key.descriptor(), events).second)
            << "descriptor " << key.descriptor() << " twice in one batch";
    return seen;
}

/// Nothing is reported, and nothing that is not reported ends the wait before its time.
template <class Bag>
void expect_silence(Bag& bag, std::chrono::milliseconds during) {
    const auto start = clock::now();
    EXPECT_TRUE(reported(bag.select(during)).empty());
    EXPECT_GE(clock::now() - start, during) << "the select ended early, with nothing";
}

inline constexpr event both = event::read | event::write;

using events_by_descriptor = std::map<native_handle, event>;

template <class Call>
auto time_of(Call call) {
    const auto start = clock::now();
    call();
    return clock::now() - start;
}

}  // namespace selectors::testing

namespace selectors {
/// GoogleTest prints events by their names.
inline void PrintTo(event events, std::ostream* out) {
    *out << to_string(events);
}
}  // namespace selectors
