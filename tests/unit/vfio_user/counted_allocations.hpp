// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>

/// Every allocation by new in the test program is counted, on its thread. To be included once a program.
namespace vfio_user_test {
inline thread_local std::size_t allocations = 0;
} // namespace vfio_user_test

// Not inlined: g++ would take free() there for a mismatch.
[[gnu::noinline]] void* operator new(std::size_t size) {
    ++vfio_user_test::allocations;
    if (void* const made = std::malloc(size != 0 ? size : 1)) return made;
    throw std::bad_alloc{};
}
void* operator new[](std::size_t size) { return operator new(size); }
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    ++vfio_user_test::allocations;
    return std::malloc(size != 0 ? size : 1);
}
void* operator new[](std::size_t size, const std::nothrow_t& how) noexcept { return operator new(size, how); }
[[gnu::noinline]] void operator delete(void* what) noexcept { std::free(what); }
void operator delete[](void* what) noexcept { operator delete(what); }
void operator delete(void* what, std::size_t) noexcept { operator delete(what); }
void operator delete[](void* what, std::size_t) noexcept { operator delete(what); }
