// What is in the bag and what is refused: rows "add" to "the kernel refuses" of the table.
#include <climits>
#include <stdexcept>

#include "conformance.hpp"

namespace selectors::testing {
namespace {

template <class Bag>
void expect_usable(Bag& bag, std::size_t size) {
    EXPECT_EQ(bag.size(), size);
    auto [a, b] = make_pair();
    put(b);
    bag.add(a, event::read);
    EXPECT_EQ(reported(bag.select(1s)).count(a.descriptor()), 1U);
    bag.remove(a);
}

}  // namespace

CASE(add_of_a_negative_descriptor_is_an_invalid_argument) {
    auto bag = make_bag();
    EXPECT_THROW(bag.add(-1, event::read), std::invalid_argument);
    EXPECT_THROW(bag.add(INT_MIN, event::none), std::invalid_argument);
    EXPECT_THROW(bag.add(socket{}, event::read), std::invalid_argument);
    expect_usable(bag, 0);
}

CASE(add_of_a_closed_descriptor_is_ebadf) {
    auto bag = make_bag();
    expect_usable(bag, 0);
    for (const native_handle closed :
         std::initializer_list<native_handle>{closed_descriptor(), 19'000, 1'000'000, INT_MAX})
        for (const event interest : {event::read, event::write, event::priority, event::none}) {
            try {
                bag.add(closed, interest);
                ADD_FAILURE() << "descriptor " << closed << " was taken for " << to_string(interest);
            } catch (const std::system_error& refused) {
                EXPECT_EQ(refused.code(), errc::bad_descriptor);
                EXPECT_NE(std::string{refused.what()}.find(std::to_string(closed)), std::string::npos)
                    << refused.what();
            }
            EXPECT_FALSE(bag.contains(closed));
        }
    expect_usable(bag, 0);
}

CASE(add_of_what_is_in_the_bag_is_already_registered) {
    auto bag = make_bag<int>();
    auto [a, b] = make_pair();
    bag.add(a, event::read, 1);
    try {
        bag.add(a, event::write, 2);
        ADD_FAILURE() << "taken twice";
    } catch (const already_registered& refused) {
        EXPECT_EQ(std::string{refused.what()}, "descriptor " + std::to_string(a.descriptor()) +
                                                   " is already registered; use modify() to change it");
    }
    EXPECT_EQ(bag.get(a).data, 1);
    EXPECT_EQ(bag.interest(a), event::read);
    EXPECT_THROW(bag.add(a, event::none, 3), std::invalid_argument);  // its base
    EXPECT_EQ(bag.size(), 1U);
}

CASE(verbs_on_what_is_not_in_the_bag_are_not_registered) {
    auto bag = make_bag<int>();
    auto [a, b] = make_pair();
    const auto expect_unknown = [&](socket_view what) {
        EXPECT_THROW(bag.modify(what, event::read), not_registered);
        EXPECT_THROW(bag.modify(what, event::read, 1), not_registered);
        EXPECT_THROW(bag.remove(what), not_registered);
        EXPECT_THROW(bag.get(what), not_registered);
        EXPECT_THROW(bag.interest(what), std::out_of_range);  // its base
        EXPECT_FALSE(bag.contains(what));
    };
    expect_unknown(a);
    expect_unknown(-1);
    expect_unknown(INT_MAX);
    bag.add(a, event::read, 1);
    bag.remove(a);
    expect_unknown(a);
}

CASE(a_key_is_stale_after_remove_even_if_the_number_is_in_the_bag_anew) {
    auto bag = make_bag<int>();
    auto [a, b] = make_pair();
    const auto old = bag.add(a, event::read, 1);
    EXPECT_TRUE(bag.contains(old));
    bag.remove(a);
    EXPECT_FALSE(bag.contains(old));
    EXPECT_THROW(bag.remove(old), not_registered);
    bag.add(a, event::read, 2);
    EXPECT_FALSE(bag.contains(old));
    EXPECT_TRUE(bag.contains(a));
    EXPECT_THROW(bag.modify(old, event::write), not_registered);
    EXPECT_THROW(bag.remove(old), not_registered);
    EXPECT_EQ(bag.get(a).data, 2);
}

CASE(an_interest_that_cannot_be_asked_for_is_an_invalid_argument) {
    auto bag = make_bag();
    auto [a, b] = make_pair();
    for (const event wrong : {event::hangup, event::error | event::read, event::from_bits(0x4000)}) {
        EXPECT_THROW(bag.add(a, wrong), std::invalid_argument);
        EXPECT_FALSE(bag.contains(a));
    }
    bag.add(a, event::read);
    EXPECT_THROW(bag.modify(a, event::hangup), std::invalid_argument);
    EXPECT_EQ(bag.interest(a), event::read);
}

CASE(a_trigger_that_the_backend_lacks_is_an_invalid_argument) {
    auto bag = make_bag();
    auto [a, b] = make_pair();
    for (const trigger mode : {trigger::edge, trigger::exclusive}) {
        if (bag.backend().supports(mode)) {
            bag.add(a, event::read, mode);
            bag.remove(a);
        } else {
            EXPECT_THROW(bag.add(a, event::read, mode), std::invalid_argument);
        }
        EXPECT_FALSE(bag.contains(a));
    }
    bag.add(a, event::read, trigger::oneshot);  // everywhere
}

CASE(what_the_kernel_refuses_leaves_the_bag_and_the_data_unchanged) {
    if (!backend_is("epoll")) NOT_EXPRESSIBLE("the mechanism refuses nothing but closed descriptors");
    auto bag = make_bag<std::unique_ptr<int>>();
    // Sets nested deeper than the kernel allows: ELOOP.
    const std::vector<socket> nested = nest_sets();
    auto attached = std::make_unique<int>(7);
    try {
        bag.add(nested.back(), event::read, std::move(attached));
        ADD_FAILURE() << "the kernel took it";
    } catch (const std::system_error& refused) {
        EXPECT_NE(std::string{refused.what()}.find("epoll_ctl"), std::string::npos) << refused.what();
    }
    ASSERT_TRUE(attached);
    EXPECT_EQ(*attached, 7);
    EXPECT_EQ(bag.size(), 0U);
    EXPECT_FALSE(bag.contains(nested.back()));
    bag.add(nested.front(), event::read, std::move(attached));
    EXPECT_EQ(*bag.get(nested.front()).data, 7);
}

CASE(no_descriptor_left_for_the_bag_itself_is_emfile) {
    NEEDS(descriptor_limits);
    const native_handle next_free = closed_descriptor();
    {
        descriptor_limit limit{next_free};
        try {
            make_bag();
            ADD_FAILURE() << "opened without a descriptor";
        } catch (const std::system_error& refused) {
            EXPECT_EQ(refused.code(), errc::too_many_descriptors) << refused.what();
        }
        // With room for only one of the two that epoll needs, nothing leaks either.
        limit.set(next_free + 1);
        for (int tries = 0; tries < 3; ++tries) try {
                make_bag();
            } catch (const std::system_error&) {
            }
    }
    EXPECT_EQ(closed_descriptor(), next_free) << "a descriptor leaked";
}

CASE(a_constructor_that_throws_leaves_nothing_behind) {
    struct choosy {
        explicit choosy(int value) {
            if (value < 0) throw std::runtime_error("no");
        }
    };
    auto bag = make_bag<choosy>();
    auto [a, b] = make_pair();
    put(b);
    EXPECT_THROW(bag.add(a, event::read, -1), std::runtime_error);
    EXPECT_EQ(bag.size(), 0U);
    EXPECT_TRUE(reported(bag.select(0s)).empty());
    bag.add(a, event::read, 1);
    EXPECT_EQ(reported(bag.select(1s)).size(), 1U);
}

CASE(data_stays_where_it_is_while_the_bag_grows) {
    auto bag = make_bag<std::string>();
    auto [a, b] = make_pair();
    const auto key = bag.add(a, event::read, "the first");
    const std::string* const where = &key.data;
    std::vector<socket> many;
    for (int i = 0; i < 3000; ++i) {
        many.push_back(duplicate_of(b.descriptor()));
        bag.add(many.back(), event::none, std::to_string(i));
    }
    EXPECT_EQ(&bag.get(a).data, where);
    EXPECT_EQ(key.data, "the first");
    EXPECT_EQ(bag.get(many[2999]).data, "2999");
    EXPECT_EQ(bag.size(), 3001U);
}

CASE(remove_returns_the_data_and_the_bag_destroys_the_rest) {
    auto watched = std::make_shared<int>(1);
    auto [a, b] = make_pair();
    {
        auto bag = make_bag<std::shared_ptr<int>>();
        bag.add(a, event::read, watched);
        bag.add(b, event::read, watched);
        EXPECT_EQ(watched.use_count(), 3);
        EXPECT_EQ(bag.remove(a), watched);
        EXPECT_EQ(watched.use_count(), 2);
    }
    EXPECT_EQ(watched.use_count(), 1);
}

struct connection {
    selectors::socket socket;
    std::string pending;
};

CASE(the_bag_can_own_its_connections) {
    auto bag = make_bag<connection>();
    auto [a, b] = make_pair();
    auto [c, d] = make_pair();
    const native_handle first = a.descriptor();
    const native_handle second = c.descriptor();
    bag.add(connection{std::move(a), "one"}, event::read);
    // Whether the compiler moves the socket or takes its view first, it is the same descriptor.
    bag.add(c.view(), event::read, connection{std::move(c), "two"});
    EXPECT_EQ(bag.get(first).data.pending, "one");
    EXPECT_EQ(bag.get(second).data.pending, "two");
    bag.remove(first);
    std::array<char, 1> room;
    EXPECT_EQ(or_throw(b.recv(room)), 0U) << "removing a connection that nobody keeps closes it";
    EXPECT_EQ(d.recv(room).error(), errc::would_block);
}

CASE(every_key_can_be_walked) {
    auto bag = make_bag<int>();
    auto [a, b] = make_pair();
    auto [c, d] = make_pair();
    bag.add(c, event::read, 3);
    bag.add(a, event::none, 1);
    std::map<native_handle, int> seen;
    for (auto key : bag.keys()) seen.emplace(key.descriptor(), key.data);
    EXPECT_EQ(seen, (std::map<native_handle, int>{{a.descriptor(), 1}, {c.descriptor(), 3}}));
    for (auto key : bag.keys()) bag.remove(key);
    EXPECT_TRUE(bag.empty());
}

CASE(a_bag_can_be_moved_with_everything_in_it) {
    auto bag = make_bag<int>();
    auto [a, b] = make_pair();
    put(b);
    bag.add(a, event::read, 1);
    selector<int> moved{std::move(bag)};
    EXPECT_EQ(reported(moved.select(1s)).size(), 1U);
    auto other = make_bag<int>();
    other.add(b, event::write, 2);
    other = std::move(moved);
    EXPECT_EQ(other.size(), 1U);
    EXPECT_EQ(reported(other.select(1s)), (events_by_descriptor{{a.descriptor(), event::read}}));
}

CASE(data_is_assigned_by_modify_without_a_call) {
    auto bag = make_counted_bag<std::string>();
    auto [a, b] = make_pair();
    const auto key = bag.add(a, event::read, "old");
    const int before = counted().changes();
    bag.modify(key, event::read, "new");
    bag.modify(a, event::read, std::string{"newer"});
    (void)bag.select(0s);
    EXPECT_EQ(key.data, "newer");
    EXPECT_EQ(counted().changes(), before);
}

}  // namespace selectors::testing
