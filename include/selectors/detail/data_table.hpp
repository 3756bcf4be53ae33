// selectors/detail/data_table.hpp - where the data of a bag lives: by slot, at a stable address.
//
// Not for use. Chunks of about 4 KB hang from a table of pointers, so that growing moves no data and
// a lone high descriptor costs one chunk.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

namespace selectors {
/// The data of a bag that attaches nothing.
struct none {};
}  // namespace selectors

namespace selectors::detail {

template <class Data>
class data_table {
  public:
    data_table() noexcept = default;
    data_table(data_table&& other) noexcept
        : chunks_{std::exchange(other.chunks_, nullptr)},
          chunk_count_{std::exchange(other.chunk_count_, 0)} {}
    data_table& operator=(data_table&& other) noexcept {
        std::swap(chunks_, other.chunks_);
        std::swap(chunk_count_, other.chunk_count_);
        return *this;
    }
    /// What was constructed must have been destroyed.
    ~data_table() {
        for (std::size_t i = 0; i < chunk_count_; ++i)
            if (chunks_[i]) ::operator delete(chunks_[i], std::align_val_t{alignof(Data)});
        delete[] chunks_;
    }

    /// Constructs the data of a slot; where it is now, it stays.
    template <class... Arguments>
    Data* construct(std::uint32_t slot, Arguments&&... arguments) {
        reserve(slot / per_chunk);
        return ::new (static_cast<void*>(chunks_[slot / per_chunk] + slot % per_chunk))
            Data(std::forward<Arguments>(arguments)...);
    }

  private:
    static constexpr std::size_t per_chunk =
        sizeof(Data) >= 4096 ? 1 : std::bit_floor(4096 / sizeof(Data));

    void reserve(std::size_t chunk) {
        if (chunk >= chunk_count_) {
            const std::size_t count = std::bit_ceil(chunk + 1);
            auto** grown = new Data* [count] {};
            for (std::size_t i = 0; i < chunk_count_; ++i) grown[i] = chunks_[i];
            delete[] std::exchange(chunks_, grown);
            chunk_count_ = count;
        }
        if (!chunks_[chunk])
            chunks_[chunk] = static_cast<Data*>(
                ::operator new(per_chunk * sizeof(Data), std::align_val_t{alignof(Data)}));
    }

    Data** chunks_ = nullptr;
    std::size_t chunk_count_ = 0;
};

/// A bag that attaches nothing stores nothing.
template <>
class data_table<none> {
  public:
    template <class... Arguments>
    none* construct(std::uint32_t, Arguments&&...) noexcept {
        static none nothing;
        return &nothing;
    }
};

}  // namespace selectors::detail
