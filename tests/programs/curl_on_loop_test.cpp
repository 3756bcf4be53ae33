// What the adapter promises of its callbacks, which may do as they please.
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "curl_on_loop.hpp"

namespace sel = selectors;
using namespace std::chrono_literals;

namespace {

class CurlOnLoop : public testing::Test {
  protected:
    static void SetUpTestSuite() { curl_global_init(CURL_GLOBAL_DEFAULT); }
    static void TearDownTestSuite() { curl_global_cleanup(); }

    /// From a server that accepts and never answers, unless told otherwise.
    curl_on_loop::easy get(std::string url = {}, long patience = 20) {
        curl_on_loop::easy made{curl_easy_init()};
        if (url.empty()) url = "http://" + sel::or_throw(silent.local_address()).text() + '/';
        curl_easy_setopt(made.get(), CURLOPT_URL, url.c_str());
        curl_easy_setopt(made.get(), CURLOPT_TIMEOUT_MS, patience);
        return made;
    }
    void turn_until(const bool& over) {
        const sel::timer late = loop.after(15s, [&] {
            ADD_FAILURE() << "it does not end";
            loop.stop();
        });
        while (!over && late.armed()) loop.run_once();
    }

    sel::socket silent = sel::listen("127.0.0.1:0");
    sel::loop loop;
    std::optional<curl_on_loop> transfers{std::in_place, loop};
};

TEST_F(CurlOnLoop, an_ending_may_begin_the_next) {
    bool over = false;
    transfers->start(get(), [&](CURL* ended, CURLcode result) {
        EXPECT_TRUE(ended);
        EXPECT_EQ(result, CURLE_OPERATION_TIMEDOUT);
        transfers->start(get(), [&](CURL*, CURLcode) { over = true; });
    });
    turn_until(over);
}

TEST_F(CurlOnLoop, an_ending_may_destroy_all_and_then_nobody_is_told) {
    bool over = false;
    for (int i = 0; i < 5; ++i)
        transfers->start(get(), [&](CURL* ended, CURLcode) {
            EXPECT_FALSE(over);
            over = true;
            transfers.reset();
            long status = 7;
            curl_easy_getinfo(ended, CURLINFO_RESPONSE_CODE, &status);  // the handle is there still
            EXPECT_EQ(status, 0);
        });
    turn_until(over);
    EXPECT_EQ(loop.run_once(30ms), 0U);
}

TEST_F(CurlOnLoop, an_ending_that_throws_takes_nothing_from_the_others) {
    int told = 0;
    for (int i = 0; i < 5; ++i)
        transfers->start(get(), [&](CURL*, CURLcode) {
            ++told;
            throw 7;
        });
    for (int i = 1; i <= 5; ++i) {
        EXPECT_THROW(loop.run(), int);
        EXPECT_EQ(told, i);
    }
}

TEST_F(CurlOnLoop, what_is_under_way_may_be_destroyed) {
    for (int i = 0; i < 5; ++i)
        transfers->start(get({}, 60'000), [](CURL*, CURLcode) { ADD_FAILURE(); });
    loop.run_once();
    loop.run_once();
    transfers.reset();
    EXPECT_EQ(loop.run_once(30ms), 0U);
}

TEST_F(CurlOnLoop, a_transfer_that_libcurl_cannot_begin_ends_with_its_reason) {
    bool over = false;
    transfers->start(get("nonsense://x"), [&](CURL*, CURLcode result) {
        EXPECT_EQ(result, CURLE_UNSUPPORTED_PROTOCOL);
        over = true;
    });
    turn_until(over);
}

}  // namespace
