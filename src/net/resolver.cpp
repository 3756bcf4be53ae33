// Names to addresses through the system's resolver, getaddrinfo(3), which blocks.
#include <algorithm>
#include <vector>

#include <selectors/address.hpp>

#include "system/net_headers.hpp"
#include "system/system.hpp"

namespace selectors {
namespace {

struct found_addresses {
    addrinfo* first = nullptr;
    ~found_addresses() {
        if (first) ::freeaddrinfo(first);
    }
};

constexpr int native_family(family wanted) noexcept {
    switch (wanted) {
    case family::ipv4: return AF_INET;
    case family::ipv6: return AF_INET6;
    default: return AF_UNSPEC;
    }
}

/// "localhost" is this machine, whatever a resolver would say (RFC 6761, 6.3).
bool is_localhost(std::string_view host) noexcept {
    constexpr std::string_view localhost = "localhost";
    if (host.ends_with('.')) host.remove_suffix(1);
    return std::ranges::equal(host, localhost, [](char a, char b) { return (a | 0x20) == b; });
}

}  // namespace

address_list::address_list(const address* first, std::size_t count)
    : first_{new address[count]}, count_{count} {
    for (std::size_t i = 0; i < count; ++i) first_[i] = first[i];
}

address_list::address_list(address_list&& other) noexcept
    : first_{std::exchange(other.first_, nullptr)}, count_{std::exchange(other.count_, 0)} {}

address_list& address_list::operator=(address_list&& other) noexcept {
    std::swap(first_, other.first_);
    std::swap(count_, other.count_);
    return *this;
}

address_list::~address_list() {
    delete[] first_;
}

result<address_list> resolve(std::string_view host, std::uint16_t port, family wanted) {
    const auto number = address::parse(host, port);
    if (number && (wanted == family::none || wanted == number->kind()))
        return address_list{&*number, 1};
    // Only what may be a name goes to the resolver; what can be neither is said here.
    if (!number && number.error() != address_error::bad_host) return std::unexpected{number.error()};
    if (number || host.find_first_of(":%") != host.npos)
        return std::unexpected{make_error_code(address_error::bad_host)};

    if (is_localhost(host)) {
        const address both[] = {address::loopback(port, family::ipv4),
                                address::loopback(port, family::ipv6)};
        if (wanted == family::none) return address_list{both, 2};
        return address_list{wanted == family::ipv6 ? &both[1] : &both[0], 1};
    }

    sys::start();
    addrinfo hints{};
    hints.ai_family = native_family(wanted);
    hints.ai_socktype = SOCK_STREAM;  // one entry an address, not one for each type
    found_addresses found;
    const int failed = ::getaddrinfo(std::string{host}.c_str(), nullptr, &hints, &found.first);
    if (failed == EAI_AGAIN || failed == EAI_MEMORY)
        return std::unexpected{make_error_code(address_error::no_resolver)};
    std::vector<address> addresses;
    for (const addrinfo* each = found.first; each; each = each->ai_next) {
        const address one = address::from_native(each->ai_addr, each->ai_addrlen);
        if (one.kind() != family::none) addresses.push_back(one.with_port(port));
    }
    if (addresses.empty()) return std::unexpected{make_error_code(address_error::not_found)};
    return address_list{addresses.data(), addresses.size()};
}

result<address_list> resolve(std::string_view text, family wanted) {
    const auto parsed = address::parse(text);
    if (parsed) {
        if (wanted == family::none || wanted == parsed->kind()) return address_list{&*parsed, 1};
        return std::unexpected{make_error_code(address_error::bad_host)};
    }
    if (parsed.error() != address_error::bad_host && parsed.error() != address_error::host_too_long)
        return std::unexpected{parsed.error()};
    const auto colon = text.rfind(':');
    const std::string_view host = text.substr(0, colon);
    if (host.starts_with('[')) return std::unexpected{parsed.error()};
    // The port is a number, or the host could not have been looked at.
    const auto port = address::parse("0.0.0.0" + std::string{text.substr(colon)})->port();
    return resolve(host, port, wanted);
}

}  // namespace selectors
