// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/little_endian.hpp>
#include <mediant/registers/field_plan.hpp>
#include <mediant/registers/trap_table.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

/// What registers are made of: the device, shadows and values that never change, together where a register has fields.
namespace mediant::detail {

/// A map without its names, which are pointers: no loader gives those in a BPF object's data a value.
template <const auto& Map>
inline constexpr auto nameless_map = [] {
    auto out = Map;
    for (entry& e : out.entries) e.group = e.name = e.target = {};
    for (field& f : out.fields) f.name = {};
    return out;
}();
template <const auto& Map>
[[nodiscard]] [[gnu::always_inline]] constexpr const auto& read_at_run_time() noexcept {
    if constexpr (verified)
        return nameless_map<Map>;
    else
        return Map;
}

/// Accesses to a part of one entry as if it had no hooks. Host: see engine.hpp.
template <const auto& Map, class Host>
class backing {
protected:
    /// Code for shadows is left out where there are none, and the compiler does not see it write past their end.
    static constexpr bool has_shadows = shadow_bytes<Map> != 0;

public:
    constexpr explicit backing(Host host) noexcept : host_{host} {}

    constexpr answer read_backing(const trapped_entry& e, const read_access& part) const {
        const entry& stated = stated_of(e);
        if constexpr (field_plan_count<Map>() != 0)
            if (stated.field_count != 0) return read_fields(e, part);
        const answer done = read_treated(e, part);
        if constexpr (has_shadows) {
            if (e.read == treatment::shadow && effect_of_read(stated.kind) != read_effect::none)
                by_width(part.bytes.size(), shadow_of(e, part.offset), [&](auto held, std::size_t) {
                    return after_read(effect_of_read(stated.kind), held);
                });
        }
        return done;
    }

    constexpr answer write_backing(const trapped_entry& e, const write_access& part) const {
        if constexpr (field_plan_count<Map>() != 0)
            if (stated_of(e).field_count != 0) return write_fields(e, part);
        if constexpr (has_shadows) {
            if (e.write == treatment::shadow && e.effect == write_effect::first_replaces) {
                std::byte* const held = shadow_of(e, part.offset);
                write_once(held, held + in_part(static_cast<std::size_t>(e.size())), part.bytes);
                return {part.bytes.size()};
            }
        }
        return write_treated(e, part);
    }

protected:
    constexpr answer below_read(const read_access& a) const {
        return unpacked(host_.below_read(a.region, a.offset, a.bytes.data(), a.bytes.size()));
    }
    constexpr answer below_write(const write_access& a) const {
        return unpacked(host_.below_write(a.region, a.offset, a.bytes.data(), a.bytes.size()));
    }

    [[nodiscard]] static constexpr const entry& stated_of(const trapped_entry& e) noexcept {
        return read_at_run_time<Map>().entries.data()[bounded(e.index, Map.entries.size())];
    }

    [[nodiscard]] constexpr std::byte* shadow_of(const trapped_entry& e, std::uint64_t offset) const noexcept {
        return host_.shadow() + bounded(e.shadow_at + static_cast<std::size_t>(offset - e.offset), shadow_bytes<Map>);
    }

    [[gnu::always_inline]] constexpr answer read_treated(const trapped_entry& e, const read_access& part) const {
        switch (e.read) {
        case treatment::pass: return below_read(part);
        case treatment::shadow:
            if constexpr (has_shadows) copy(shadow_of(e, part.offset), part.bytes.data(), part.bytes.size());
            break;
        case treatment::fill: fill(part.bytes, static_cast<std::byte>(e.value)); break;
        default: store_part(part.bytes, e.value >> (8 * (part.offset - e.offset))); break;
        }
        return {part.bytes.size()};
    }

    [[gnu::always_inline]] constexpr answer write_treated(const trapped_entry& e, const write_access& part) const {
        if (e.write == treatment::pass) return below_write(part);
        if constexpr (has_shadows)
            if (e.write == treatment::shadow) write_shadow(e.effect, shadow_of(e, part.offset), part.bytes);
        return {part.bytes.size()};
    }

    /// Only if bits that the device has are asked for, it is read.
    constexpr answer read_fields(const trapped_entry& e, const read_access& part) const {
        const field_plan& plan = plan_at(e);
        const unsigned shift = static_cast<unsigned>(8 * (part.offset - e.offset));
        const std::uint64_t lanes = low_bytes(part.bytes.size()) << shift;
        std::uint64_t value = plan.constants;
        if ((plan.read_device & lanes) != 0) {
            alignas(8) std::byte buffer[8]{}; // not the user's, who gets nothing of what is not read whole
            const std::span<std::byte> bytes{buffer, part.bytes.size()};
            const answer below = below_read({part.region, part.offset, bytes});
            if (below.count != bytes.size()) return {0, shortfall(below)};
            value |= (load_part(bytes) << shift) & plan.read_device;
        }
        if constexpr (has_shadows)
            if (plan.shadows != 0) value |= read_shadow_fields(e, plan, lanes) & plan.read_shadow;
        store_part(part.bytes, value >> shift);
        return {part.bytes.size()};
    }

    /// In this order: the device is read, if bits beside those that pass must be preserved; the device is written,
    /// if bits pass; the shadows are written. A fault leaves what comes after it undone.
    constexpr answer write_fields(const trapped_entry& e, const write_access& part) const {
        const field_plan& plan = plan_at(e);
        const unsigned shift = static_cast<unsigned>(8 * (part.offset - e.offset));
        const std::uint64_t lanes = low_bytes(part.bytes.size()) << shift;
        const std::uint64_t value = load_part(part.bytes) << shift;
        if ((plan.write_device & lanes) != 0) {
            alignas(8) std::byte buffer[8]{};
            const std::span<std::byte> bytes{buffer, part.bytes.size()};
            std::uint64_t toward_device = (value & plan.write_device) | plan.ones;
            if ((plan.preserved & lanes) != 0) {
                const answer known = below_read({part.region, part.offset, bytes});
                if (known.count != bytes.size()) return {0, shortfall(known)};
                toward_device |= (load_part(bytes) << shift) & plan.preserved;
            }
            store_part(bytes, toward_device >> shift);
            const answer done = below_write({part.region, part.offset, bytes});
            if (done.count != bytes.size()) return {0, shortfall(done)};
        }
        if constexpr (has_shadows)
            if (plan.shadows != 0) write_shadow_fields(e, plan, value, lanes);
        return {part.bytes.size()};
    }

    /// The shadow of a register with fields as it was; what reading it leaves is in it then.
    constexpr std::uint64_t read_shadow_fields(const trapped_entry& e, const field_plan& plan,
                                               std::uint64_t lanes) const {
        const std::span<std::byte> held{shadow_of(e, e.offset), in_part(static_cast<std::size_t>(e.size()))};
        const std::uint64_t before = load_part(held);
        const std::uint64_t bits = plan.shadows & lanes;
        const std::uint64_t after = (before & ~bits) | (plan.after_read(before) & bits);
        if (after != before) store_part(held, after);
        return before;
    }

    constexpr void write_shadow_fields(const trapped_entry& e, const field_plan& plan, std::uint64_t value,
                                       std::uint64_t lanes) const {
        const std::size_t size = in_part(static_cast<std::size_t>(e.size()));
        const std::span<std::byte> held{shadow_of(e, e.offset), size};
        const std::uint64_t before = load_part(held);
        std::uint64_t bits = plan.shadows & lanes;
        if constexpr (has_fields_once) {
            const std::span<std::byte> written{held.data() + size, size};
            if ((bits & plan.once) != 0) {
                const std::uint64_t taken = load_part(written);
                store_part(written, taken | (bits & plan.once));
                bits &= ~(taken & plan.once);
            }
        }
        store_part(held, (before & ~bits) | (plan.after_write(before, value) & bits));
    }
    static constexpr bool has_fields_once = [] {
        for (const field_plan& plan : field_plans<Map>)
            if (plan.once != 0) return true;
        return false;
    }();

    [[nodiscard]] static constexpr const field_plan& plan_at(const trapped_entry& e) noexcept {
        const std::size_t place = field_plan_place<Map>(bounded(e.index, Map.entries.size()));
        return field_plans<Map>.data()[bounded(place, field_plans<Map>.size())];
    }

    static constexpr void fill(std::span<std::byte> to, std::byte value) noexcept {
        by_width(to.size(), to.data(), [value](auto held, std::size_t) {
            return static_cast<decltype(held)>(std::uint64_t{0x0101'0101'0101'0101} * static_cast<std::uint8_t>(value));
        });
    }

    /// Bits are taken once; `written` remembers which.
    static constexpr void write_once(std::byte* held, std::byte* written, std::span<const std::byte> from) noexcept {
        by_width(from.size(), held, [&](auto before, std::size_t i) {
            const auto taken = part_of<decltype(before)>(written, i, from.size());
            return static_cast<decltype(before)>((before & taken) | (part_of<decltype(before)>(from.data(), i, from.size()) & ~taken));
        });
        by_width(from.size(), written, [](auto before, std::size_t) { return static_cast<decltype(before)>(~decltype(before){0}); });
    }

    /// Bytes of what has at most 8 of them wherever the verifier reads along: an access of one call, a register.
    [[nodiscard]] [[gnu::always_inline]] static constexpr std::size_t in_part(std::size_t size) noexcept {
        return bounded(size, 9);
    }

    /// Replaces `size` bytes by what f(held, i) makes of them, i bytes from their begin: in one step where they are as
    /// many as a register can have, and byte by byte for others.
    template <class F>
    [[gnu::always_inline]] static constexpr void by_width(std::size_t size, std::byte* held, const F& f) {
        if constexpr (verified) {
            const std::span<std::byte> all{held, in_part(size)};
            store_part(all, f(load_part(all), std::size_t{0}));
        } else {
            const auto step = [&]<class T>(std::size_t i) __attribute__((always_inline)) {
                store_bytes(held + i, f(load_bytes<T>(held + i), i));
            };
            switch (size) {
            case 4: return step.template operator()<std::uint32_t>(0);
            case 8: return step.template operator()<std::uint64_t>(0);
            case 2: return step.template operator()<std::uint16_t>(0);
            default: break;
            }
            for (std::size_t i = 0; i < size; ++i) step.template operator()<std::uint8_t>(i);
        }
    }
    /// The T at i of `size` bytes.
    template <class T>
    [[nodiscard]] [[gnu::always_inline]] static constexpr T part_of(const std::byte* from, std::size_t i,
                                                                    std::size_t size) noexcept {
        if constexpr (verified)
            return static_cast<T>(load_part({from, in_part(size)}));
        else
            return load_bytes<T>(from + i);
    }

    [[gnu::always_inline]] static constexpr void copy(const std::byte* from, std::byte* to, std::size_t size) {
        by_width(size, to, [&](auto held, std::size_t i) __attribute__((always_inline)) {
            return part_of<decltype(held)>(from, i, size);
        });
    }

    /// Effects act on single bits, so the bytes that are not part of the access count as not written.
    static constexpr void write_shadow(write_effect how, std::byte* shadow, std::span<const std::byte> from) {
        by_width(from.size(), shadow, [&](auto held, std::size_t i) {
            return after_write(how, held, part_of<decltype(held)>(from.data(), i, from.size()));
        });
    }

    Host host_; ///< no more than a pointer
};

/// A shadow that is not zero at open and after reset.
struct reset_run {
    std::uint32_t at = 0;    ///< in the map's shadow storage
    std::uint32_t count = 0; ///< bytes
    std::uint64_t value = 0; ///< of a register; of a block each byte's, in each byte
};
template <const auto& Map>
inline constexpr auto reset_runs = [] {
    constexpr auto is_one = [](const trapped_entry& e) {
        const entry& stated = Map.entries.data()[e.index];
        return has_shadow<Map>(stated) && reset_value<Map>(stated) != 0;
    };
    constexpr std::size_t count = [is_one] {
        std::size_t n = 0;
        for (const trapped_entry& e : trapped_entries<Map>) n += is_one(e) ? 1u : 0u;
        return n;
    }();
    std::array<reset_run, count> out{};
    std::size_t n = 0;
    for (const trapped_entry& e : trapped_entries<Map>) {
        if (!is_one(e)) continue;
        const entry& stated = Map.entries.data()[e.index];
        const std::uint64_t value = reset_value<Map>(stated);
        out[n++] = {e.shadow_at, static_cast<std::uint32_t>(e.size()),
                    stated.is_register() ? value : (value & 0xff) * 0x0101'0101'0101'0101};
    }
    return out;
}();

/// Gives all of a map's shadows what they hold at open and after reset, and forgets what was written once.
template <const auto& Map>
constexpr void reset_shadow(std::byte* shadow) noexcept {
    for (std::size_t at = 0; at < shadow_bytes<Map>; at += 8) store_bytes(shadow + at, std::uint64_t{0});
    for (const reset_run& run : reset_runs<Map>)
        for (std::uint32_t i = 0; i < run.count; ++i)
            shadow[run.at + i] = static_cast<std::byte>(run.value >> (8 * (i % 8)));
}

} // namespace mediant::detail
