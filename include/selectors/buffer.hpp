// selectors/buffer.hpp - the memory that a send reads from and a recv writes to.
//
// Both are a pointer and a length, made on the spot from what you have: an array, a span, a vector,
// a string. They own nothing; the memory must live until the call returns.
//
//     std::array<char, 4096> room;
//     auto n = socket.recv(room);                              // up to 4096 bytes
//     socket.send("hello\n");                                  // a literal: without its final NUL
//     const_buffer parts[] = {header, body};
//     socket.send(parts);                                      // one call, two pieces
#pragma once

#include <concepts>
#include <cstddef>
#include <span>
#include <string_view>
#include <type_traits>

namespace selectors {

class const_buffer;
class mutable_buffer;

namespace detail {

template <class Range>
using element_of = std::remove_cv_t<typename decltype(std::span(std::declval<Range&>()))::element_type>;

/// Contiguous memory whose bytes mean something elsewhere: no pointers, no lists of buffers.
template <class Range>
concept byte_range =
    requires(Range& range) { std::span(range); } && std::is_trivially_copyable_v<element_of<Range>> &&
    !std::is_pointer_v<element_of<Range>> && !std::same_as<element_of<Range>, const_buffer> &&
    !std::same_as<element_of<Range>, mutable_buffer>;

}  // namespace detail

/// Bytes to read from. Laid out like POSIX's iovec.
class const_buffer {
  public:
    constexpr const_buffer() noexcept = default;
    constexpr const_buffer(const void* data, std::size_t size) noexcept : data_{data}, size_{size} {}
    constexpr const_buffer(std::string_view text) noexcept : data_{text.data()}, size_{text.size()} {}
    /// A string literal, without its final NUL.
    template <std::size_t Size>
    constexpr const_buffer(const char (&literal)[Size]) noexcept
        : data_{literal}, size_{literal[Size - 1] == '\0' ? Size - 1 : Size} {}
    /// All of an array, span, vector or string of trivially copyable elements.
    template <detail::byte_range Range>
    constexpr const_buffer(Range&& range) noexcept
        : data_{std::span(range).data()}, size_{std::span(range).size_bytes()} {}

    constexpr const void* data() const noexcept { return data_; }
    constexpr std::size_t size() const noexcept { return size_; }

  private:
    const void* data_ = nullptr;
    std::size_t size_ = 0;
};

/// Bytes to write to. Laid out like POSIX's iovec.
class mutable_buffer {
  public:
    constexpr mutable_buffer() noexcept = default;
    constexpr mutable_buffer(void* data, std::size_t size) noexcept : data_{data}, size_{size} {}
    /// All of a writable array, span, vector or string of trivially copyable elements.
    template <detail::byte_range Range>
        requires requires(Range& range) { std::as_writable_bytes(std::span(range)); }
    constexpr mutable_buffer(Range&& range) noexcept
        : data_{std::span(range).data()}, size_{std::span(range).size_bytes()} {}

    constexpr void* data() const noexcept { return data_; }
    constexpr std::size_t size() const noexcept { return size_; }

  private:
    void* data_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace selectors
