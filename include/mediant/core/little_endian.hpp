// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/verified.hpp>

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

/// Values in the device's byte order, which is little-endian. Widths that hardware knows compile to one move.
namespace mediant {

namespace detail {
template <std::unsigned_integral T>
[[nodiscard]] constexpr T load_bytes(const std::byte* from) noexcept {
    T value = 0;
    if (!std::is_constant_evaluated() && std::endian::native == std::endian::little) {
        __builtin_memcpy(&value, from, sizeof(T));
        return value;
    }
    for (std::size_t i = 0; i < sizeof(T); ++i)
        value = static_cast<T>(value | static_cast<T>(static_cast<T>(from[i]) << (8 * i)));
    return value;
}

template <std::unsigned_integral T>
constexpr void store_bytes(std::byte* to, T value) noexcept {
    if (!std::is_constant_evaluated() && std::endian::native == std::endian::little) {
        __builtin_memcpy(to, &value, sizeof(T));
        return;
    }
    for (std::size_t i = 0; i < sizeof(T); ++i) to[i] = static_cast<std::byte>(value >> (8 * i));
}
} // namespace detail

/// The low `bytes` bytes of a 64-bit value, set; 1 to 8.
[[nodiscard]] constexpr std::uint64_t low_bytes(std::size_t bytes) noexcept {
    return ~std::uint64_t{0} >> (64 - 8 * bytes);
}

/// The value of the first 1 to 8 bytes.
[[nodiscard]] constexpr std::uint64_t load_little(std::span<const std::byte> from) noexcept {
    if (from.size() == 4) return detail::load_bytes<std::uint32_t>(from.data()); // first: the width of most registers
    switch (from.size()) {
    case 1: return detail::load_bytes<std::uint8_t>(from.data());
    case 2: return detail::load_bytes<std::uint16_t>(from.data());
    case 8: return detail::load_bytes<std::uint64_t>(from.data());
    default: break;
    }
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < from.size() && i < 8; ++i) value |= static_cast<std::uint64_t>(from[i]) << (8 * i);
    return value;
}

/// Puts the low bytes of `value` into 1 to 8 bytes.
constexpr void store_little(std::span<std::byte> to, std::uint64_t value) noexcept {
    if (to.size() == 4) return detail::store_bytes(to.data(), static_cast<std::uint32_t>(value));
    switch (to.size()) {
    case 1: return detail::store_bytes(to.data(), static_cast<std::uint8_t>(value));
    case 2: return detail::store_bytes(to.data(), static_cast<std::uint16_t>(value));
    case 8: return detail::store_bytes(to.data(), value);
    default: break;
    }
    for (std::size_t i = 0; i < to.size() && i < 8; ++i) to[i] = static_cast<std::byte>(value >> (8 * i));
}

namespace detail {

/// The same of bytes that lie in at least 8 which the caller may touch. Where the verifier reads along, how many are meant
/// is no branch then, of which it would follow each: 8 are read, and those that are not meant written as they were.
[[nodiscard]] [[gnu::always_inline]] constexpr std::uint64_t load_part(std::span<const std::byte> from) noexcept {
    if constexpr (verified)
        if (!std::is_constant_evaluated()) return load_bytes<std::uint64_t>(from.data()) & low_bytes(from.size());
    return load_little(from);
}
[[gnu::always_inline]] constexpr void store_part(std::span<std::byte> to, std::uint64_t value) noexcept {
    if constexpr (verified) {
        if (!std::is_constant_evaluated()) {
            const std::uint64_t mask = low_bytes(to.size());
            return store_bytes(to.data(), (load_bytes<std::uint64_t>(to.data()) & ~mask) | (value & mask));
        }
    }
    store_little(to, value);
}

template <class F>
[[nodiscard]] [[gnu::always_inline]] constexpr bool by_natural(std::size_t size, const F& f) noexcept {
    if (std::is_constant_evaluated()) return false;
    if (size == 4) [[likely]] return f.template operator()<std::uint32_t>(), true;
    if (size == 8) return f.template operator()<std::uint64_t>(), true;
    if (size == 2) return f.template operator()<std::uint16_t>(), true;
    if (size == 1) return f.template operator()<std::uint8_t>(), true;
    return false;
}
/// As many bytes as registers have, which begin where as many can, from and to a number; false, and nothing done, for other
/// numbers of them, and at compile time.
[[nodiscard]] [[gnu::always_inline]] constexpr bool load_aligned(const std::byte* from, std::size_t size,
                                                                 std::uint64_t& value) noexcept {
    return by_natural(size, [&]<class T>() __attribute__((always_inline)) {
        value = load_bytes<T>(static_cast<const std::byte*>(__builtin_assume_aligned(from, sizeof(T))));
    });
}
[[nodiscard]] [[gnu::always_inline]] constexpr bool store_aligned(std::byte* to, std::size_t size,
                                                                  std::uint64_t value) noexcept {
    return by_natural(size, [&]<class T>() __attribute__((always_inline)) {
        store_bytes(static_cast<std::byte*>(__builtin_assume_aligned(to, sizeof(T))), static_cast<T>(value));
    });
}

} // namespace detail

} // namespace mediant
