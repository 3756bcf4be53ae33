// selectors/address.hpp - where a socket is, or where it goes.
//
// A small value: IPv4, IPv6 with its scope, or a Unix path. `parse` reads numbers and paths and
// never asks anybody; `resolve` also takes host names, asks the system's resolver and BLOCKS until it
// answers: call it before the bag goes round, or on another thread.
//
//     auto here = or_throw(address::parse("127.0.0.1:7342"));
//     for (const address& each : or_throw(resolve("localhost", 7342))) std::puts(each.text().c_str());
//
// The text forms, printed as they are read:
//     127.0.0.1:80   [::1]:80   [fe80::1%eth0]:80   /run/app.sock   ./app.sock   unix:app.sock   @abstract
//
// Threads: plain values. Sources: RFC 4291, RFC 4007 (scopes), RFC 5952 (printing), unix(7).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <selectors/export.hpp>
#include <selectors/result.hpp>

namespace selectors {

enum class family : std::uint8_t { none, ipv4, ipv6, unix_domain };

/// Why a text is no address. Each message is a sentence that says what to write instead.
enum class address_error {
    empty = 1,
    missing_port,
    bad_port,
    bad_host,
    bad_scope,
    unclosed_bracket,
    host_too_long,
    embedded_nul,
    path_too_long,
    not_supported,
    not_found,    ///< resolve only: the resolver knows no such host
    no_resolver,  ///< resolve only: the resolver could not be asked; later it may answer
};

SELECTORS_API std::error_code make_error_code(address_error error) noexcept;

/// An address; the default one is of `family::none` and equal to itself only.
class SELECTORS_API address {
  public:
    /// Longest host name that is looked at (RFC 1035: 253 characters and a final dot).
    static constexpr std::size_t max_host = 254;

    constexpr address() noexcept = default;

    /// 0.0.0.0:port and [::]:port, every interface of this machine; port 0 lets the system choose.
    static address any(std::uint16_t port, family kind = family::ipv4) noexcept;
    /// 127.0.0.1:port and [::1]:port, this machine only.
    static address loopback(std::uint16_t port, family kind = family::ipv4) noexcept;
    /// A file-system path of at most 107 bytes; or, with a leading NUL, a Linux abstract name of up to
    /// 107 more bytes. Errors: embedded_nul, path_too_long, empty, not_supported.
    static result<address> unix_path(std::string_view path) noexcept;

    /// Reads one of the text forms above. Errors: an address_error.
    static result<address> parse(std::string_view text) noexcept;
    /// Reads a numeric host, "127.0.0.1" or "::1" or "fe80::1%eth0", without brackets.
    static result<address> parse(std::string_view host, std::uint16_t port) noexcept;

    family kind() const noexcept;
    /// In host order; 0 for anything but IPv4 and IPv6.
    std::uint16_t port() const noexcept;
    /// The same host with another port; unchanged for anything but IPv4 and IPv6.
    address with_port(std::uint16_t port) const noexcept;
    /// "127.0.0.1", "fe80::1%eth0", or the path. Empty for an unnamed Unix socket.
    std::string host() const;
    /// As `parse` reads it; "(unnamed)" and "(none)" for the two that have no text.
    std::string text() const;

    /// The operating system's form: a sockaddr of size() bytes.
    const void* data() const noexcept { return storage_; }
    std::size_t size() const noexcept { return size_; }
    /// From a sockaddr of `size` bytes; family::none if it is of no kind known here or too long.
    static address from_native(const void* data, std::size_t size) noexcept;

    friend SELECTORS_API bool operator==(const address& a, const address& b) noexcept;

  private:
    alignas(8) unsigned char storage_[112] = {};  // sockaddr_un, the longest, has 110
    std::uint8_t size_ = 0;
};

/// What a name resolved to, in the resolver's order of preference. Never empty.
class SELECTORS_API address_list {
  public:
    address_list(const address* first, std::size_t count);
    address_list(address_list&& other) noexcept;
    address_list& operator=(address_list&& other) noexcept;
    ~address_list();

    const address* begin() const noexcept { return first_; }
    const address* end() const noexcept { return first_ + count_; }
    std::size_t size() const noexcept { return count_; }
    const address& operator[](std::size_t index) const noexcept { return first_[index]; }

  private:
    address* first_ = nullptr;
    std::size_t count_ = 0;
};

/// Blocks. The addresses of a host, a name or a number. Errors: an address_error.
/// "localhost" is 127.0.0.1 and ::1, in this order, and nobody is asked.
/// `wanted`: only addresses of that family; family::none takes both.
SELECTORS_API result<address_list> resolve(std::string_view host, std::uint16_t port,
                                           family wanted = family::none);
/// Blocks. Every form that `parse` takes, and "name:port".
SELECTORS_API result<address_list> resolve(std::string_view text, family wanted = family::none);

}  // namespace selectors

template <>
struct std::is_error_code_enum<selectors::address_error> : std::true_type {};
