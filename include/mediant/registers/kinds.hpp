// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <concepts>
#include <cstdint>

/// The three facts that a map states about a register: access kind, backing and hooks.
namespace mediant {

/// What a read and a write do, with the names of SystemRDL 2.0 and UVM.
enum class kind : std::uint8_t {
    rw,  ///< reads as written
    ro,  ///< writes are swallowed
    wo,  ///< reads as 0
    w1c, ///< writing 1 clears a bit
};
inline constexpr kind rw = kind::rw;
inline constexpr kind ro = kind::ro;
inline constexpr kind wo = kind::wo;
inline constexpr kind w1c = kind::w1c;

/// Where a register's value lives. (`from::device` reads well in a map.)
enum class from : std::uint8_t {
    device,   ///< in the device below
    shadow,   ///< in the provider's state; the device is not touched
    constant, ///< in the map
};

/// Which accesses call the policy.
enum class on : std::uint8_t { nothing = 0, read = 1, write = 2 };
[[nodiscard]] constexpr on operator|(on a, on b) noexcept {
    return on{static_cast<std::uint8_t>(static_cast<unsigned>(a) | static_cast<unsigned>(b))};
}
[[nodiscard]] constexpr bool has(on all, on some) noexcept {
    return (static_cast<unsigned>(all) & static_cast<unsigned>(some)) != 0;
}

/// What a shadow holds after `value` was written over `old`. Kinds act on single bits, so that a part of a register
/// can be taken alone.
template <std::unsigned_integral T>
[[nodiscard]] constexpr T after_write(kind how, T old, T value) noexcept {
    switch (how) {
    case kind::ro: return old;
    case kind::w1c: return static_cast<T>(old & ~value);
    case kind::rw:
    case kind::wo: break;
    }
    return value;
}

/// Whether a written 0 bit leaves the register alone, so that a partial write can be filled up with zeros.
[[nodiscard]] constexpr bool zero_is_neutral(kind how) noexcept { return how == kind::w1c; }

} // namespace mediant
