// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <concepts>
#include <cstdint>

/// The three facts that a map states about a register or a field: access kind, backing and hooks.
namespace mediant {

/// What a read and a write do, bit by bit, with UVM's names (IEEE 1800.2, uvm_reg_field::configure); SystemRDL 2.0
/// spells the same as onread and onwrite. Where a read is "an error" there, it answers 0 here.
enum class kind : std::uint8_t {
    rw,    ///< written as is
    ro,    ///< writes are swallowed
    wo,    ///< written as is; reads as 0
    w1c,   ///< writing 1 clears
    w1s,   ///< writing 1 sets
    w1t,   ///< writing 1 toggles
    w0c,   ///< writing 0 clears
    w0s,   ///< writing 0 sets
    w0t,   ///< writing 0 toggles
    wc,    ///< any write clears all bits
    ws,    ///< any write sets all bits
    rc,    ///< writes are swallowed; a read clears
    rs,    ///< writes are swallowed; a read sets
    wrc,   ///< written as is; a read clears
    wrs,   ///< written as is; a read sets
    wsrc,  ///< any write sets all bits; a read clears
    wcrs,  ///< any write clears all bits; a read sets
    w1src, ///< writing 1 sets; a read clears
    w1crs, ///< writing 1 clears; a read sets
    w0src, ///< writing 0 sets; a read clears
    w0crs, ///< writing 0 clears; a read sets
    woc,   ///< any write clears all bits; reads as 0
    wos,   ///< any write sets all bits; reads as 0
    w1,    ///< the first write after reset is taken, later ones are swallowed
    wo1,   ///< the same; reads as 0
};
inline constexpr kind rw = kind::rw;
inline constexpr kind ro = kind::ro;
inline constexpr kind wo = kind::wo;
inline constexpr kind w1c = kind::w1c;
inline constexpr kind w1s = kind::w1s;
inline constexpr kind w1t = kind::w1t;
inline constexpr kind w0c = kind::w0c;
inline constexpr kind w0s = kind::w0s;
inline constexpr kind w0t = kind::w0t;
inline constexpr kind wc = kind::wc;
inline constexpr kind ws = kind::ws;
inline constexpr kind rc = kind::rc;
inline constexpr kind rs = kind::rs;
inline constexpr kind wrc = kind::wrc;
inline constexpr kind wrs = kind::wrs;
inline constexpr kind wsrc = kind::wsrc;
inline constexpr kind wcrs = kind::wcrs;
inline constexpr kind w1src = kind::w1src;
inline constexpr kind w1crs = kind::w1crs;
inline constexpr kind w0src = kind::w0src;
inline constexpr kind w0crs = kind::w0crs;
inline constexpr kind woc = kind::woc;
inline constexpr kind wos = kind::wos;
inline constexpr kind w1 = kind::w1;
inline constexpr kind wo1 = kind::wo1;

/// Where a register's value lives. (`from::device` reads well in a map.)
enum class from : std::uint8_t {
    device,   ///< in the device below
    shadow,   ///< in the provider's state; the device is not touched
    constant, ///< in the map
};

/// Which accesses call the policy.
enum class on : std::uint8_t {
    nothing = 0,
    read = 1,    ///< read(at<…>, next) answers instead of the backing
    write = 2,   ///< write(at<…>, value, next) acts instead of the backing
    written = 4, ///< written(at<…>, lanes, next) is told after the backing took a write
};
[[nodiscard]] constexpr on operator|(on a, on b) noexcept {
    return on{static_cast<std::uint8_t>(static_cast<unsigned>(a) | static_cast<unsigned>(b))};
}
[[nodiscard]] constexpr bool has(on all, on some) noexcept {
    return (static_cast<unsigned>(all) & static_cast<unsigned>(some)) != 0;
}

/// A kind taken apart.
enum class read_effect : std::uint8_t { none, clears, sets };
enum class write_effect : std::uint8_t {
    replaces,
    none,
    one_clears, one_sets, one_toggles,
    zero_clears, zero_sets, zero_toggles,
    clears, sets,
    first_replaces,
};

[[nodiscard]] constexpr bool reads_as_zero(kind k) noexcept {
    return k == wo || k == woc || k == wos || k == wo1;
}

[[nodiscard]] constexpr read_effect effect_of_read(kind k) noexcept {
    switch (k) {
    case rc: case wrc: case wsrc: case w1src: case w0src: return read_effect::clears;
    case rs: case wrs: case wcrs: case w1crs: case w0crs: return read_effect::sets;
    default: return read_effect::none;
    }
}

[[nodiscard]] constexpr write_effect effect_of_write(kind k) noexcept {
    switch (k) {
    case ro: case rc: case rs: return write_effect::none;
    case w1c: case w1crs: return write_effect::one_clears;
    case w1s: case w1src: return write_effect::one_sets;
    case w1t: return write_effect::one_toggles;
    case w0c: case w0crs: return write_effect::zero_clears;
    case w0s: case w0src: return write_effect::zero_sets;
    case w0t: return write_effect::zero_toggles;
    case wc: case wcrs: case woc: return write_effect::clears;
    case ws: case wsrc: case wos: return write_effect::sets;
    case w1: case wo1: return write_effect::first_replaces;
    case rw: case wo: case wrc: case wrs: break;
    }
    return write_effect::replaces;
}

/// What a shadow holds after `value` was written over `old`. Effects act on single bits, so that a part of a
/// register can be taken alone. (first_replaces needs more than this and is not asked for.)
template <std::unsigned_integral T>
[[nodiscard]] constexpr T after_write(write_effect how, T old, T value) noexcept {
    switch (how) {
    case write_effect::none: return old;
    case write_effect::one_clears: return static_cast<T>(old & ~value);
    case write_effect::one_sets: return static_cast<T>(old | value);
    case write_effect::one_toggles: return static_cast<T>(old ^ value);
    case write_effect::zero_clears: return static_cast<T>(old & value);
    case write_effect::zero_sets: return static_cast<T>(old | static_cast<T>(~value));
    case write_effect::zero_toggles: return static_cast<T>(old ^ static_cast<T>(~value));
    case write_effect::clears: return 0;
    case write_effect::sets: return static_cast<T>(~T{0});
    case write_effect::replaces:
    case write_effect::first_replaces: break;
    }
    return value;
}

/// What a shadow holds after it was read.
template <std::unsigned_integral T>
[[nodiscard]] constexpr T after_read(read_effect how, T old) noexcept {
    switch (how) {
    case read_effect::clears: return 0;
    case read_effect::sets: return static_cast<T>(~T{0});
    case read_effect::none: break;
    }
    return old;
}

/// The bits that, written to a register, leave it as it is: all 0 or all 1, whatever it holds, or what it holds.
enum class neutral : std::uint8_t { none, zeros, ones, held };
[[nodiscard]] constexpr neutral neutral_bits(write_effect how) noexcept {
    switch (how) {
    case write_effect::none:
    case write_effect::one_clears:
    case write_effect::one_sets:
    case write_effect::one_toggles: return neutral::zeros;
    case write_effect::zero_clears:
    case write_effect::zero_sets:
    case write_effect::zero_toggles: return neutral::ones;
    case write_effect::replaces: return neutral::held;
    case write_effect::clears:
    case write_effect::sets:
    case write_effect::first_replaces: break; // the bits count as written whatever is written
    }
    return neutral::none;
}

} // namespace mediant
