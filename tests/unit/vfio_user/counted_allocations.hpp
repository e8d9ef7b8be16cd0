// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>

/// Every allocation by new in the test program is counted, on its thread, and fails when so many as are left were made.
/// To be included once a program.
namespace vfio_user_test {
inline thread_local std::size_t allocations = 0;
inline thread_local std::size_t allocations_left = ~std::size_t{0};
inline thread_local int allocations_failed = 0;

[[nodiscard]] inline void* allocate(std::size_t size) noexcept {
    ++allocations;
    if (allocations_left != ~std::size_t{0}) {
        if (allocations_left == 0) return ++allocations_failed, nullptr;
        --allocations_left;
    }
    return std::malloc(size != 0 ? size : 1);
}
} // namespace vfio_user_test

// Not inlined: g++ would take free() there for a mismatch.
[[gnu::noinline]] void* operator new(std::size_t size) {
    if (void* const made = vfio_user_test::allocate(size)) return made;
    throw std::bad_alloc{};
}
void* operator new[](std::size_t size) { return operator new(size); }
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    return vfio_user_test::allocate(size);
}
void* operator new[](std::size_t size, const std::nothrow_t& how) noexcept { return operator new(size, how); }
[[gnu::noinline]] void operator delete(void* what) noexcept { std::free(what); }
void operator delete[](void* what) noexcept { operator delete(what); }
void operator delete(void* what, std::size_t) noexcept { operator delete(what); }
void operator delete[](void* what, std::size_t) noexcept { operator delete(what); }
