// TRAPS 32 and 33: lengths, NULs, scopes, empty things. CVE-2024-24806, CVE-2016-10195.
#include <cstring>
#include <string>

#include <gtest/gtest.h>

#include <selectors/address.hpp>
#include <selectors/socket.hpp>

#include "support/platform.hpp"

namespace selectors {
namespace {

using namespace selectors::testing;
using namespace std::string_literals;

address parsed(std::string_view text) {
    return or_throw(address::parse(text), std::string{text}.c_str());
}

std::error_code error_of(std::string_view text) {
    const auto got = address::parse(text);
    return got ? std::error_code{} : got.error();
}

TEST(address, prints_what_it_reads) {
    for (const char* text : {"127.0.0.1:80", "0.0.0.0:0", "255.255.255.255:65535", "[::1]:80",
                             "[::]:7342", "[2001:db8::1]:443", "[::ffff:10.0.0.1]:1", "/run/app.sock",
                             "./app.sock", "../app.sock", "unix:app.sock"})
        EXPECT_EQ(parsed(text).text(), text);
    for (const std::string& text :
         {"[fe80::1%" + loopback_interface() + "]:80", abstract_name("abstract")})
        EXPECT_EQ(parsed(text).text(), text);
    EXPECT_EQ(parsed("[fe80::1%1]:80").text(), "[fe80::1%" + loopback_interface() + "]:80");
    EXPECT_EQ(parsed("[0:0:0:0:0:0:0:1]:80").text(), "[::1]:80") << "RFC 5952";
    EXPECT_EQ(parsed("unix:/run/app.sock").text(), "/run/app.sock");
    EXPECT_EQ(parsed("unix:@file").text(), "unix:@file") << "a file whose name begins with @";
    EXPECT_EQ(address{}.text(), "(none)");
}

TEST(address, knows_its_parts) {
    const std::string scope = loopback_interface();
    const address here = parsed("[fe80::1%" + scope + "]:443");
    EXPECT_EQ(here.kind(), family::ipv6);
    EXPECT_EQ(here.host(), "fe80::1%" + scope);
    EXPECT_EQ(here.port(), 443);
    EXPECT_EQ(here.with_port(80), parsed("[fe80::1%" + scope + "]:80"));
    EXPECT_EQ(parsed("10.1.2.3:80").kind(), family::ipv4);
    EXPECT_EQ(parsed("10.1.2.3:80").with_port(81).text(), "10.1.2.3:81");
    EXPECT_EQ(parsed("/run/x").kind(), family::unix_domain);
    EXPECT_EQ(parsed("/run/x").port(), 0);
    EXPECT_EQ(parsed("/run/x").with_port(80), parsed("/run/x"));
    if (!platform::abstract_names.lacking) {
        EXPECT_EQ(parsed("@name").host(), "\0name"s);
    }
    EXPECT_EQ(address{}.kind(), family::none);
    EXPECT_NE(parsed("10.1.2.3:80"), parsed("10.1.2.3:81"));
}

TEST(address, makes_the_usual_ones) {
    EXPECT_EQ(address::any(80).text(), "0.0.0.0:80");
    EXPECT_EQ(address::any(80, family::ipv6).text(), "[::]:80");
    EXPECT_EQ(address::loopback(80).text(), "127.0.0.1:80");
    EXPECT_EQ(address::loopback(80, family::ipv6).text(), "[::1]:80");
}

TEST(address, says_why_a_text_is_none) {
    EXPECT_EQ(error_of(""), address_error::empty);
    EXPECT_EQ(error_of(":80"), address_error::empty);
    EXPECT_EQ(error_of("unix:"), address_error::empty);
    EXPECT_EQ(error_of("@"), address_error::empty);
    EXPECT_EQ(error_of("127.0.0.1"), address_error::missing_port);
    EXPECT_EQ(error_of("127.0.0.1:"), address_error::missing_port);
    EXPECT_EQ(error_of("[::1]"), address_error::missing_port);
    EXPECT_EQ(error_of("[::1]80"), address_error::missing_port);
    for (const char* text :
         {"127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:80x", "127.0.0.1: 80", "[::1]:http"})
        EXPECT_EQ(error_of(text), address_error::bad_port) << text;
    EXPECT_EQ(error_of("[::1:80"), address_error::unclosed_bracket);
    EXPECT_EQ(error_of("::1:80"), address_error::unclosed_bracket);
    for (const char* text : {"localhost:80", "1.2.3:80", "1.2.3.4.5:80", "256.1.1.1:80", "[::g]:80",
                             "[]:80", "[1.2.3.4]:80", "01.2.3.4:80"})
        EXPECT_EQ(error_of(text), address_error::bad_host) << text;
    EXPECT_EQ(error_of("[fe80::1%nosuchinterface]:80"), address_error::bad_scope);
    EXPECT_EQ(error_of("[fe80::1%]:80"), address_error::bad_scope);
    EXPECT_EQ(error_of("[fe80::1%0]:80"), address_error::bad_scope);
    EXPECT_EQ(error_of("[fe80::1%99999999999]:80"), address_error::bad_scope);
    EXPECT_EQ(error_of("127.0.0.1\0:80"s), address_error::embedded_nul);
    EXPECT_EQ(error_of("/run/\0x"s), address_error::embedded_nul);
    EXPECT_EQ(error_of("/" + std::string(107, 'x')), address_error::path_too_long);
    EXPECT_EQ(error_of("@" + std::string(108, 'x')), address_error::path_too_long);
    EXPECT_EQ(error_of(std::string(255, 'x') + ":80"), address_error::host_too_long);
    EXPECT_EQ(error_of(std::string(10'000, ':')), address_error::unclosed_bracket);
    EXPECT_EQ(error_of("[" + std::string(10'000, '1') + "]:80"), address_error::bad_host);
}

TEST(address, takes_the_longest_there_are) {
    EXPECT_EQ(parsed("/" + std::string(106, 'x')).host().size(), 107U);
    if (!platform::abstract_names.lacking) {
        EXPECT_EQ(parsed("@" + std::string(107, 'x')).host().size(), 108U);
    }
    EXPECT_EQ(error_of(std::string(254, 'x') + ":80"), address_error::bad_host) << "may be a name";
}

TEST(address, each_error_is_a_sentence_with_the_way_out) {
    for (int code = 1; code <= static_cast<int>(address_error::no_resolver); ++code) {
        const std::string text = make_error_code(static_cast<address_error>(code)).message();
        EXPECT_GE(text.size(), 20U) << text;
        EXPECT_NE(text, "unknown address error");
    }
}

TEST(address, from_native_trusts_nothing) {
    sockaddr_in native{};
    native.sin_family = AF_INET;
    native.sin_port = htons(80);
    EXPECT_EQ(address::from_native(&native, sizeof native).text(), "0.0.0.0:80");
    EXPECT_EQ(address::from_native(&native, 4).kind(), family::none);
    EXPECT_EQ(address::from_native(&native, 0).kind(), family::none);
    char long_one[500] = {};
    EXPECT_EQ(address::from_native(long_one, sizeof long_one).kind(), family::none);
    native.sin_family = AF_APPLETALK;
    EXPECT_EQ(address::from_native(&native, sizeof native).kind(), family::none);
    NEEDS(unix_sockets);
    const address unnamed = or_throw(socket::unix_stream().local_address());
    EXPECT_EQ(unnamed.kind(), family::unix_domain);
    EXPECT_EQ(unnamed.text(), "(unnamed)");
    EXPECT_EQ(unnamed.host(), "");
}

TEST(resolve, finds_numbers_names_and_paths) {
    const auto names = or_throw(resolve("localhost", 7342));
    ASSERT_EQ(names.size(), 2U);
    EXPECT_EQ(names[0].text(), "127.0.0.1:7342");
    EXPECT_EQ(names[1].text(), "[::1]:7342");
    EXPECT_EQ(or_throw(resolve("LocalHost.", 80, family::ipv6))[0].text(), "[::1]:80") << "RFC 6761";
    EXPECT_EQ(or_throw(resolve("localhost", 80, family::ipv4))[0].text(), "127.0.0.1:80");
    EXPECT_EQ(or_throw(resolve("localhost:80", family::ipv4))[0].text(), "127.0.0.1:80");
    EXPECT_EQ(or_throw(resolve("[::1]:80"))[0].text(), "[::1]:80");
    EXPECT_EQ(or_throw(resolve("::1", 80))[0].text(), "[::1]:80");
    EXPECT_EQ(or_throw(resolve("/run/x"))[0].text(), "/run/x");
}

TEST(resolve, says_why_it_found_nothing) {
    const auto why = [](const result<address_list>& got) {
        return got ? std::error_code{} : got.error();
    };
    EXPECT_EQ(why(resolve("localhost")), address_error::missing_port);
    EXPECT_EQ(why(resolve("localhost:http")), address_error::bad_port);
    EXPECT_EQ(why(resolve("", 80)), address_error::empty);
    EXPECT_EQ(why(resolve("localhost\0.evil"s, 80)), address_error::embedded_nul);
    for (const std::size_t length : {255U, 256U, 257U, 1000U})
        EXPECT_EQ(why(resolve(std::string(length, 'x'), 80)), address_error::host_too_long) << length;
    EXPECT_EQ(why(resolve("127.0.0.1", 80, family::ipv6)), address_error::bad_host);
    EXPECT_EQ(why(resolve("[::g]:80")), address_error::bad_host);
    // Whether the resolver says no or cannot be asked depends on the machine's network.
    const auto unknown = why(resolve("no-such-host.invalid", 80));
    EXPECT_TRUE(unknown == address_error::not_found || unknown == address_error::no_resolver)
        << unknown.message();
}

TEST(resolve, its_list_moves) {
    auto first = or_throw(resolve("127.0.0.1", 80));
    address_list second = std::move(first);
    EXPECT_EQ(second.size(), 1U);
    auto third = or_throw(resolve("127.0.0.1", 81));
    third = std::move(second);
    EXPECT_EQ(third[0].port(), 80);
}

}  // namespace
}  // namespace selectors
