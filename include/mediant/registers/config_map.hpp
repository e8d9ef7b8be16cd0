// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/registers/config_entry.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

/// Config maps: what a policy states about config space, as a constexpr value.
///
///     static constexpr auto config = config_map{
///         config_id{.device = 0x1000, .revision = 0, .subdevice = 1},
///         resize_bar{4, 256_MiB},
///         hide_capability{cap::vpd}};
///     static constexpr auto regions = mediant::regions<bar0, config>{};
///
/// The layer below, at the bottom the VFIO core, stays the owner: it is always asked first, and what is stated here is
/// overlaid on its answer, byte by byte, whatever the width of the access. A write passes as it is, is swallowed, or
/// goes to a shadow; its value is never changed on the way. What the VFIO core must own (COMMAND, BAR sizing, MSI, …)
/// cannot be stated. Lists of capabilities stay whole. A device that a map does not fit is declined at open.
namespace mediant {

/// A field that config_id leaves as it is.
inline constexpr std::uint32_t unchanged = 0xffff'ffff;

namespace detail {
/// An offset or size as an entry holds it; one that config space cannot have stays one.
[[nodiscard]] consteval std::uint16_t config_number(std::uint32_t n) {
    return static_cast<std::uint16_t>(n < 0xffff ? n : 0xffff);
}
} // namespace detail

/// What is put into a config map: entries and the bytes of constants.
template <std::size_t Entries, std::size_t Bytes>
struct config_part {
    static constexpr std::size_t entry_count = Entries;
    static constexpr std::size_t byte_count = Bytes;

    config_entry entries[Entries == 0 ? 1 : Entries]{};
    std::uint8_t values[Bytes == 0 ? 1 : Bytes]{};
    std::uint8_t masks[Bytes == 0 ? 1 : Bytes]{}; ///< the bits that a constant has

    constexpr config_part() = default;
    constexpr explicit config_part(const config_entry& only) : entries{only} {}
};

/// IDs in the header. What is left out stays the device's: `config_id{.device = 0x1000, .revision = 0}`.
struct config_id {
    static constexpr std::size_t entry_count = 6;
    static constexpr std::size_t byte_count = 12;

    std::uint32_t vendor = unchanged;
    std::uint32_t device = unchanged;
    std::uint32_t revision = unchanged;
    std::uint32_t class_code = unchanged; ///< 24 bits
    std::uint32_t subvendor = unchanged;
    std::uint32_t subdevice = unchanged;

    [[nodiscard]] consteval config_part<entry_count, byte_count> part() const {
        config_part<entry_count, byte_count> out;
        std::size_t place = 0;
        std::size_t byte = 0;
        const auto put = [&](std::uint16_t offset, std::uint16_t size, std::uint32_t value) {
            config_entry& e = out.entries[place++];
            if (value == unchanged) return;
            e.what = config_entry::shape::constant;
            e.offset = offset;
            e.size = size;
            e.first_byte = static_cast<std::uint16_t>(byte);
            e.fits = value >> (8 * size) == 0;
            for (std::size_t i = 0; i < size; ++i) {
                out.values[byte] = static_cast<std::uint8_t>(value >> (8 * i));
                out.masks[byte++] = 0xff;
            }
        };
        put(config_offset::vendor, 2, vendor);
        put(config_offset::device, 2, device);
        put(config_offset::revision, 1, revision);
        put(config_offset::class_code, 3, class_code);
        put(config_offset::subvendor, 2, subvendor);
        put(config_offset::subdevice, 2, subdevice);
        return out;
    }
};

/// Where a statement's offset counts from.
struct place_options {
    anchor in{};
};

/// `constant_bytes{0x40, {0x12, 0x34}}`: reads give these bytes, writes of them are swallowed.
template <std::size_t N>
struct constant_bytes : config_part<1, N> {
    consteval constant_bytes(std::uint32_t offset, const std::uint8_t (&bytes)[N], place_options where = {}) {
        config_entry& e = this->entries[0];
        e.what = config_entry::shape::constant;
        e.in = where.in;
        e.offset = detail::config_number(offset);
        e.size = static_cast<std::uint16_t>(N);
        for (std::size_t i = 0; i < N; ++i) {
            this->values[i] = bytes[i];
            this->masks[i] = 0xff;
        }
    }
};
template <std::size_t N>
constant_bytes(std::uint32_t, const std::uint8_t (&)[N]) -> constant_bytes<N>;
template <std::size_t N>
constant_bytes(std::uint32_t, const std::uint8_t (&)[N], place_options) -> constant_bytes<N>;

/// Bits that a capability of the device shows otherwise.
struct edit_options {
    unsigned bits = 32; ///< 8, 16, 32 or 64
    std::uint64_t value = 0;
    std::uint64_t mask = ~std::uint64_t{0}; ///< the bits that the value has; others stay the device's
};

/// `edit_capability{cap::pcie, 0x04, {.value = 0, .mask = 1u << 28}}`: some bits of a register `offset` bytes into a
/// capability read as constants. Writes of bytes that are constant as a whole are swallowed, others pass as they are.
struct edit_capability : config_part<1, 8> {
    consteval edit_capability(anchor which, std::uint32_t offset, const edit_options& how) {
        config_entry& e = entries[0];
        e.what = config_entry::shape::constant;
        e.in = which;
        e.offset = detail::config_number(offset);
        const bool whole = how.bits == 8 || how.bits == 16 || how.bits == 32 || how.bits == 64;
        e.size = static_cast<std::uint16_t>(whole ? how.bits / 8 : 0);
        e.fits = e.size != 0 && (e.size == 8 || how.value >> how.bits == 0);
        for (std::size_t i = 0; i < e.size; ++i) {
            values[i] = static_cast<std::uint8_t>(how.value >> (8 * i));
            masks[i] = static_cast<std::uint8_t>(how.mask >> (8 * i));
        }
    }
};

/// A shadow's facts.
struct shadow_options {
    std::uint64_t value = 0;                    ///< at open and after reset; bytes beyond the eighth are 0
    std::uint64_t writable = ~std::uint64_t{0}; ///< bits that a write changes; bytes beyond the eighth are writable
    anchor in{};
};

/// `shadow_bytes{"SCRATCH", 0x48, 4}`: kept by the policy; never reaches the device. next.read and next.assign may
/// name one of 1, 2, 4 or 8 bytes.
struct shadow_bytes : config_part<1, 0> {
    consteval shadow_bytes(std::string_view name, std::uint32_t offset, std::uint32_t size, shadow_options facts = {}) {
        config_entry& e = entries[0];
        e.name = name;
        e.what = config_entry::shape::shadow;
        e.in = facts.in;
        e.offset = detail::config_number(offset);
        e.size = detail::config_number(size);
        e.value = facts.value;
        e.writable = facts.writable;
    }
};

/// `swallow_writes{0x50, 2}`: reads are the device's, writes do not reach it.
struct swallow_writes : config_part<1, 0> {
    consteval swallow_writes(std::uint32_t offset, std::uint32_t size, place_options where = {}) {
        config_entry& e = entries[0];
        e.what = config_entry::shape::swallow;
        e.in = where.in;
        e.offset = detail::config_number(offset);
        e.size = detail::config_number(size);
    }
};

/// `observe_writes{"COMMAND", 0x04, 2}`: writes do what they would, and then
/// `result<void> written(at<config, "COMMAND">, lanes<std::uint16_t>, auto& next)` is told. 1, 2, 4 or 8 bytes. Also
/// for registers that the VFIO core owns.
struct observe_writes : config_part<1, 0> {
    consteval observe_writes(std::string_view name, std::uint32_t offset, std::uint32_t size,
                             place_options where = {}) {
        config_entry& e = entries[0];
        e.name = name;
        e.what = config_entry::shape::observe;
        e.in = where.in;
        e.offset = detail::config_number(offset);
        e.size = detail::config_number(size);
    }
};

/// `hide_capability{cap::vpd}`: every capability of this ID is taken out of the list; its bytes read as zeros and
/// writes to them are swallowed, as far as it is known how long it is.
struct hide_capability : config_part<1, 0> {
    consteval hide_capability(cap which) {
        entries[0].what = config_entry::shape::hide;
        entries[0].in = which;
    }
};
/// `hide_extended_capability{extended_cap::sriov}`
struct hide_extended_capability : config_part<1, 0> {
    consteval hide_extended_capability(extended_cap which) {
        entries[0].what = config_entry::shape::hide;
        entries[0].in = which;
    }
};

/// An added capability's facts.
struct capability_options {
    bool writable = false; ///< its bytes are a shadow, at first as stated; else they are constant
};
struct extended_capability_options {
    std::uint8_t version = 1;
    bool writable = false;
};

/// `add_capability{cap::vendor, 0xe0, {0x08, 0x01, 0, 0, 0, 0}}`: a capability at the end of the list, at an offset
/// that the device leaves free, or that one has which is hidden. The bytes are those after its ID and next pointer.
template <std::size_t N>
struct add_capability : config_part<1, N + 2> {
    consteval add_capability(cap which, std::uint32_t offset, const std::uint8_t (&body)[N],
                             capability_options facts = {}) {
        config_entry& e = this->entries[0];
        e.what = config_entry::shape::add;
        e.in = which;
        e.offset = detail::config_number(offset);
        e.size = static_cast<std::uint16_t>(N + 2);
        e.in_shadow = facts.writable;
        this->values[0] = static_cast<std::uint8_t>(which);
        for (std::size_t i = 0; i < N; ++i) this->values[2 + i] = body[i];
        for (std::uint8_t& each : this->masks) each = 0xff;
    }
};
template <std::size_t N>
add_capability(cap, std::uint32_t, const std::uint8_t (&)[N]) -> add_capability<N>;
template <std::size_t N>
add_capability(cap, std::uint32_t, const std::uint8_t (&)[N], capability_options) -> add_capability<N>;

/// `add_extended_capability{extended_cap::serial_number, 0x200, {1, 2, 3, 4, 5, 6, 7, 8}}`: likewise; the bytes are
/// those after its header of four bytes.
template <std::size_t N>
struct add_extended_capability : config_part<1, N + 4> {
    consteval add_extended_capability(extended_cap which, std::uint32_t offset, const std::uint8_t (&body)[N],
                                      extended_capability_options facts = {}) {
        config_entry& e = this->entries[0];
        e.what = config_entry::shape::add;
        e.in = which;
        e.offset = detail::config_number(offset);
        e.size = static_cast<std::uint16_t>(N + 4);
        e.in_shadow = facts.writable;
        e.fits = facts.version < 16;
        this->values[0] = static_cast<std::uint8_t>(e.in.id);
        this->values[1] = static_cast<std::uint8_t>(e.in.id >> 8);
        this->values[2] = facts.version & 0xf;
        for (std::size_t i = 0; i < N; ++i) this->values[4 + i] = body[i];
        for (std::uint8_t& each : this->masks) each = 0xff;
    }
};
template <std::size_t N>
add_extended_capability(extended_cap, std::uint32_t, const std::uint8_t (&)[N]) -> add_extended_capability<N>;
template <std::size_t N>
add_extended_capability(extended_cap, std::uint32_t, const std::uint8_t (&)[N], extended_capability_options)
    -> add_extended_capability<N>;

/// What is stated of a BAR goes for its register and its region: what the user reads back after sizing, region info,
/// how far accesses and mappings reach. Writes of the register pass, and are remembered: what the user reads back is
/// what it wrote, under the size that it sees. A policy itself reaches all of the device's BAR through `next`.
struct bar_part : config_part<1, 0> {
    consteval explicit bar_part(const bar_statement& what) {
        entries[0].what = config_entry::shape::bar;
        entries[0].bar = what;
    }

protected:
    using kind = bar_statement::kind;
    [[nodiscard]] static consteval std::uint8_t number_of(std::uint32_t n) {
        return static_cast<std::uint8_t>(n < 6 ? n : 0xff);
    }
};

/// `resize_bar{4, 256_MiB}`: a BAR of the device's that the user sees in another size. In what lies beyond the
/// device's own end, and in no region map, reads are ones and writes are swallowed.
struct resize_bar : bar_part {
    consteval resize_bar(std::uint32_t number, std::uint64_t size)
        : bar_part{{.what = kind::resized, .number = number_of(number), .size = size}} {}
};

/// `hide_upper_half{2}`: the user sees the lower half of a BAR, as where the upper half serves live migration.
struct hide_upper_half : bar_part {
    consteval explicit hide_upper_half(std::uint32_t number)
        : bar_part{{.what = kind::half, .number = number_of(number)}} {}
};

/// `hide_bar{1}`: the user sees no such BAR. A 64-bit BAR is hidden with both its registers.
struct hide_bar : bar_part {
    consteval explicit hide_bar(std::uint32_t number) : bar_part{{.what = kind::hidden, .number = number_of(number)}} {}
};

/// `hide_rom{}`: the user sees no expansion ROM.
struct hide_rom : bar_part {
    consteval hide_rom() : bar_part{{.what = kind::hidden, .number = 6}} {}
};

/// `io_bar{0, 32}`: an I/O BAR that the device has not; its registers are a region map's. I/O Space in COMMAND can
/// then be set, and while it is not, accesses answer error::io. As virtio's transitional devices have one.
struct io_bar : bar_part {
    consteval io_bar(std::uint32_t number, std::uint64_t size)
        : bar_part{{.what = kind::io, .number = number_of(number), .size = size}} {}
};

struct memory_bar_options {
    bool wide = false; ///< 64 bits; takes the next BAR's place, too
    bool prefetchable = false;
};
/// `memory_bar{2, 64_KiB, {.wide = true}}`: a memory BAR that the device has not; its registers are a region map's.
struct memory_bar : bar_part {
    consteval memory_bar(std::uint32_t number, std::uint64_t size, memory_bar_options how = {})
        : bar_part{{.what = kind::memory,
                    .number = number_of(number),
                    .wide = how.wide,
                    .prefetchable = how.prefetchable,
                    .size = size}} {}
};

/// `config_map{…}`: what is stated about config space, in any order. What is not stated passes to the device.
template <std::size_t N, std::size_t B>
struct config_map {
    static constexpr region_index region = region_index::config;
    static constexpr std::size_t npos = ~std::size_t{0};

    std::array<config_entry, N> entries{};
    std::array<std::uint8_t, B> values{}; ///< bytes of constants
    std::array<std::uint8_t, B> masks{};  ///< the bits that they have

    template <class... Items>
    consteval explicit config_map(const Items&... all) {
        std::size_t entry_at = 0;
        std::size_t byte_at = 0;
        (append(all, entry_at, byte_at), ...);
    }

    /// The entry of this name, or npos.
    [[nodiscard]] constexpr std::size_t index_of(std::string_view name) const noexcept {
        for (std::size_t i = 0; i < N; ++i)
            if (entries.data()[i].is_named(name)) return i;
        return npos;
    }

private:
    template <std::size_t E, std::size_t Bytes>
    consteval void append(const config_part<E, Bytes>& part, std::size_t& entry_at, std::size_t& byte_at) {
        for (std::size_t i = 0; i < E; ++i) {
            config_entry& e = entries.data()[entry_at++];
            e = part.entries[i];
            e.first_byte = static_cast<std::uint16_t>(e.first_byte + byte_at);
        }
        for (std::size_t i = 0; i < Bytes; ++i) {
            values.data()[byte_at] = part.values[i];
            masks.data()[byte_at++] = part.masks[i];
        }
    }
    consteval void append(const config_id& ids, std::size_t& entry_at, std::size_t& byte_at) {
        append(ids.part(), entry_at, byte_at);
    }
};
template <class... Items>
config_map(const Items&...)
    -> config_map<(std::size_t{0} + ... + Items::entry_count), (std::size_t{0} + ... + Items::byte_count)>;

namespace detail {
template <class>
inline constexpr bool is_config_map = false;
template <std::size_t N, std::size_t B>
inline constexpr bool is_config_map<config_map<N, B>> = true;
template <std::size_t N, std::size_t B>
inline constexpr bool is_config_map<const config_map<N, B>> = true;

/// Whether an entry of a config map keeps something in the policy's state.
template <const auto& Map>
[[nodiscard]] constexpr bool has_shadow(const config_entry& e) noexcept {
    return e.what == config_entry::shape::shadow;
}
} // namespace detail

} // namespace mediant
