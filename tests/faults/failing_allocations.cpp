#include "failing_allocations.hpp"

#include <cstddef>
#include <cstdlib>
#include <new>

namespace selectors::testing {

long allocations_until_failure = -1;

}  // namespace selectors::testing

namespace {

using selectors::testing::allocations_until_failure;

void* allocate(std::size_t size, std::size_t alignment) {
    if (allocations_until_failure >= 0 && allocations_until_failure-- == 0) throw std::bad_alloc{};
    // Nothing here wants more than malloc gives, and not every C library has aligned_alloc.
    void* got = alignment <= alignof(std::max_align_t) ? std::malloc(size) : nullptr;
    if (!got) throw std::bad_alloc{};
    return got;
}

}  // namespace

void* operator new(std::size_t size) {
    return allocate(size, 1);
}
void* operator new(std::size_t size, std::align_val_t alignment) {
    return allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* pointer) noexcept {
    std::free(pointer);
}
void operator delete(void* pointer, std::size_t) noexcept {
    std::free(pointer);
}
void operator delete(void* pointer, std::align_val_t) noexcept {
    std::free(pointer);
}
void operator delete(void* pointer, std::size_t, std::align_val_t) noexcept {
    std::free(pointer);
}
