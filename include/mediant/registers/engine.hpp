// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/dispatch.hpp>
#include <mediant/core/little_endian.hpp>
#include <mediant/registers/field_plan.hpp>
#include <mediant/registers/trap_table.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

/// Accesses through one region map: split at the entries' boundaries, each part treated as its entry says.
///
/// The engine is given a Host that stands for the policy and what lies below it, no larger than a pointer:
///   answer below_read(read_access), below_write(write_access)
///   std::byte* shadow()                                  the map's shadow storage, little-endian
///   result<std::uint64_t> read_hook<Index>(element)      whole register
///   result<void> write_hook<Index>(element, value, mask) mask has ones in the written lanes
///   result<void> written_hook<Index>(element, value, mask)
///   takes_lanes<Index>()                                 whether the write hook takes partial writes
///   std::uint8_t trapped_dynamics()                      a bit for each dynamic range that is trapped
namespace mediant::detail {

template <const auto& Map, class Host>
class engine {
    using table = trap_table<Map>;

    /// Code for shadows is left out where there are none, and the compiler does not see it write past their end.
    static constexpr bool has_shadows = shadow_bytes<Map> != 0;

public:
    constexpr explicit engine(Host host) noexcept : host_{host} {}

    /// Inlined, so that the parts of an access stay in registers.
    [[gnu::always_inline]] constexpr answer read(const read_access& a) const {
        if (passes_now(a)) return host_.below_read(a);
        const std::size_t at = table::find(a.offset);
        if (at == table::none) {
            if (passes_whole(a)) return host_.below_read(a);
        } else if (a.bytes.size() - 1 < left_in(at, a.offset)) { // also false for no bytes at all
            return read_entry(at, a);
        }
        return split(host_, a.region, a.offset, a.bytes.data(), a.bytes.size());
    }

    [[gnu::always_inline]] constexpr answer write(const write_access& a) const {
        if (passes_now(a)) return host_.below_write(a);
        const std::size_t at = table::find(a.offset);
        if (at == table::none) {
            if (passes_whole(a)) return host_.below_write(a);
        } else if (a.bytes.size() - 1 < left_in(at, a.offset)) { // also false for no bytes at all
            return write_entry(at, a);
        }
        return split(host_, a.region, a.offset, a.bytes.data(), a.bytes.size());
    }

    /// A read of a part of one entry as if it had no hooks.
    constexpr answer read_backing(const trapped_entry& e, const read_access& part) const {
        const entry& stated = stated_of(e);
        if constexpr (field_plan_count<Map>() != 0)
            if (stated.field_count != 0) return read_fields(e, part);
        const answer done = read_treated(e, part);
        if constexpr (has_shadows) {
            if (e.read == treatment::shadow && effect_of_read(stated.kind) != read_effect::none)
                for (std::size_t i = 0; i < part.bytes.size(); ++i) {
                    std::byte& held = shadow_of(e, part.offset)[i];
                    held = std::byte{after_read(effect_of_read(stated.kind), static_cast<std::uint8_t>(held))};
                }
        }
        return done;
    }

    /// A write of a part of one entry as if it had no hooks.
    constexpr answer write_backing(const trapped_entry& e, const write_access& part) const {
        if constexpr (field_plan_count<Map>() != 0)
            if (stated_of(e).field_count != 0) return write_fields(e, part);
        if constexpr (has_shadows) {
            if (e.write == treatment::shadow && e.effect == write_effect::first_replaces) {
                std::byte* const held = shadow_of(e, part.offset);
                write_once(held, held + e.size(), part.bytes);
                return {part.bytes.size()};
            }
        }
        return write_treated(e, part);
    }

private:
    [[nodiscard]] static constexpr const entry& stated_of(const trapped_entry& e) noexcept {
        return Map.entries.data()[e.index];
    }

    [[nodiscard]] constexpr std::byte* shadow_of(const trapped_entry& e, std::uint64_t offset) const noexcept {
        return host_.shadow() + e.shadow_at + static_cast<std::size_t>(offset - e.offset);
    }

    /// Whether an access whose first byte passes does so as a whole, seen without a search.
    static constexpr bool passes_whole(const auto& a) noexcept {
        if (table::whole_dwords && a.bytes.size() <= 4 - a.offset % 4) return true;
        return table::untrapped(a.offset, a.bytes.size()) == a.bytes.size();
    }

    static constexpr std::uint64_t left_in(std::size_t at, std::uint64_t offset) noexcept {
        return table::entries[at].end - offset;
    }

    /// An access that several entries share, part by part; each part then lies in one entry, or passes. Takes
    /// everything by value, so that nothing of the usual access has to have an address.
    template <class Byte>
    [[gnu::noinline]] static constexpr answer split(Host host, region_index region, std::uint64_t from, Byte* bytes,
                                                    std::size_t size) {
        const engine self{host};
        const basic_access<Byte> a{region, from, {bytes, size}};
        std::size_t done = 0;
        while (done < size) {
            const std::uint64_t offset = from + done;
            const std::size_t left = size - done;
            const std::uint64_t passed = self.passed_now(offset);
            const std::size_t at = passed != 0 ? table::none : table::find(offset);
            const std::uint64_t alike = passed != 0          ? passed
                                        : at == table::none ? table::untrapped(offset, left)
                                                            : left_in(at, offset);
            const std::size_t take = alike < left ? static_cast<std::size_t>(alike) : left;
            const answer part = at == table::none ? self.pass(a.part(done, take)) : self.enter(at, a.part(done, take));
            done += static_cast<std::size_t>(part.count);
            if (part.count != take) return {done, part.error};
        }
        return {done};
    }

    constexpr answer pass(const read_access& a) const { return host_.below_read(a); }
    constexpr answer pass(const write_access& a) const { return host_.below_write(a); }
    constexpr answer enter(std::size_t at, const read_access& a) const { return read_entry(at, a); }
    constexpr answer enter(std::size_t at, const write_access& a) const { return write_entry(at, a); }

    /// How many bytes from `offset` on lie in a dynamic range that is passed now: the device's, whatever the map names
    /// there.
    [[nodiscard]] constexpr std::uint64_t passed_now(std::uint64_t offset) const noexcept {
        if constexpr (dynamic_ranges<Map>.size() != 0) {
            const unsigned trapped = host_.trapped_dynamics();
            for (std::size_t i = 0; i < dynamic_ranges<Map>.size(); ++i)
                if ((trapped >> i & 1) == 0 && dynamic_ranges<Map>[i].contains(offset))
                    return dynamic_ranges<Map>[i].end() - offset;
        }
        return 0;
    }
    [[nodiscard]] constexpr bool passes_now(const auto& a) const noexcept {
        if constexpr (dynamic_ranges<Map>.size() != 0)
            return a.bytes.size() - 1 < passed_now(a.offset); // also false for no bytes at all
        else
            return false;
    }

    [[gnu::always_inline]] constexpr answer read_entry(std::size_t at, const read_access& part) const {
        const trapped_entry& e = table::entries[at];
        if ((e.more & special::any_read) != 0) return read_special(host_, e, part.offset, part.bytes.data(), part.bytes.size());
        return read_treated(e, part);
    }

    [[gnu::always_inline]] constexpr answer write_entry(std::size_t at, const write_access& part) const {
        const trapped_entry& e = table::entries[at];
        if ((e.more & special::any_write) != 0)
            return write_special(host_, e, part.offset, part.bytes.data(), part.bytes.size());
        return write_treated(e, part);
    }

    [[gnu::always_inline]] constexpr answer read_treated(const trapped_entry& e, const read_access& part) const {
        switch (e.read) {
        case treatment::pass: return host_.below_read(part);
        case treatment::shadow:
            if constexpr (has_shadows) read_shadow(shadow_of(e, part.offset), part.bytes);
            break;
        case treatment::fill: fill(part.bytes, static_cast<std::byte>(e.value)); break;
        case treatment::value:
        case treatment::ignore: store_little(part.bytes, e.value >> (8 * (part.offset - e.offset))); break;
        }
        return {part.bytes.size()};
    }

    /// Effects act on single bits, so the bytes that are not part of the access count as not written.
    [[gnu::always_inline]] constexpr answer write_treated(const trapped_entry& e, const write_access& part) const {
        if (e.write == treatment::pass) return host_.below_write(part);
        if constexpr (has_shadows)
            if (e.write == treatment::shadow) write_shadow(e.effect, shadow_of(e, part.offset), part.bytes);
        return {part.bytes.size()};
    }

    /// Reads with a hook, a stated width, fields or an effect, and of aliases. Out of line, so that what they need
    /// does not burden the accesses that have none of it.
    [[gnu::noinline]] static constexpr answer read_special(Host host, const trapped_entry& e, std::uint64_t offset,
                                                           std::byte* bytes, std::size_t size) {
        const engine self{host};
        const read_access part{Map.region, offset, {bytes, size}};
        if ((e.more & special::odd) != 0) {
            const entry& stated = stated_of(e);
            if (stated.what == entry::shape::deny) return {0, error::denied};
            if (stated.what == entry::shape::alias) return self.read({Map.region, origin_of(e, offset), part.bytes});
            if (!takes_width(stated, offset, size)) {
                if (stated.on_other_width == otherwise::refuse) return {0, error::invalid};
                fill(part.bytes, std::byte{0xff});
                return {size};
            }
        }
        if ((e.more & special::read_hook) == 0) return self.read_backing(e, part);
        result<std::uint64_t> value = error::io;
        visit_hook<on::read>(e, [&]<std::size_t Index>() { value = host.template read_hook<Index>(e.element); });
        if (!value) return {0, value.error()};
        store_little(part.bytes, *value >> (8 * (offset - e.offset)));
        return {size};
    }

    [[gnu::noinline]] static constexpr answer write_special(Host host, const trapped_entry& e, std::uint64_t offset,
                                                            const std::byte* bytes, std::size_t size) {
        const engine self{host};
        const write_access part{Map.region, offset, {bytes, size}};
        if ((e.more & special::odd) != 0) {
            const entry& stated = stated_of(e);
            if (stated.what == entry::shape::deny) return {0, error::denied};
            if (stated.what == entry::shape::alias) return self.write({Map.region, origin_of(e, offset), part.bytes});
            if (!takes_width(stated, offset, size))
                return stated.on_other_width == otherwise::refuse ? answer{0, error::invalid} : answer{size};
        }
        const unsigned shift = static_cast<unsigned>(8 * (offset - e.offset));
        const auto written = [&] { return load_little(part.bytes) << shift; };
        const auto mask = [&] { return low_bytes(size) << shift; };
        result<void> hooked;
        if ((e.more & special::write_hook) != 0) {
            visit_hook<on::write>(
                e, [&]<std::size_t Index>() { hooked = self.template full_write<Index>(e, written(), mask()); });
        } else {
            const answer done = self.write_backing(e, part);
            if (done.count != size) return done;
        }
        if (hooked && (e.more & special::written_hook) != 0)
            visit_hook<on::written>(e, [&]<std::size_t Index>() {
                hooked = host.template written_hook<Index>(e.element, written(), mask());
            });
        return hooked ? answer{size} : answer{0, hooked.error()};
    }

    /// Whether a register takes an access: one of its stated widths, naturally aligned.
    [[nodiscard]] static constexpr bool takes_width(const entry& stated, std::uint64_t offset, std::size_t size) noexcept {
        return stated.widths == width::any ||
               (size <= 8 && (size & (size - 1)) == 0 && offset % size == 0 &&
                (static_cast<unsigned>(stated.widths) & size) != 0);
    }

    /// Where an alias's byte lies in the register that it stands for.
    [[nodiscard]] static constexpr std::uint64_t origin_of(const trapped_entry& e, std::uint64_t offset) noexcept {
        return e.value + (offset - e.offset);
    }

    /// Calls f<Index>() for the hooked entry that is known at run time.
    template <on Which, class F>
    static constexpr void visit_hook(const trapped_entry& e, const F& f) {
        dispatch<hooked_entries<Map>.size()>(hook_places<Map>.data()[e.index], [&f]<std::size_t I>() {
            constexpr std::size_t index = hooked_entries<Map>[I];
            if constexpr (has(Map.entries[index].hook, Which)) f.template operator()<index>();
        });
    }

    /// A hook that takes full widths only gets a partial write filled up: with bits that change nothing where the
    /// kind has such, else with what the register holds. Where neither can be, as for wo, wc and w1, or where reading
    /// any of the register has effects, the write is refused.
    template <std::size_t Index>
    constexpr result<void> full_write(const trapped_entry& e, std::uint64_t value, std::uint64_t mask) const {
        constexpr std::size_t size = Map.entries[Index].size;
        constexpr std::uint64_t full = low_bytes(size);
        if constexpr (!Host::template takes_lanes<Index>()) {
            if (mask != full) {
                constexpr write_filling filling = filling_of<Map, Index>;
                if constexpr (filling.unknown != 0) {
                    if ((filling.unknown & ~mask) != 0) return error::invalid;
                }
                value |= filling.ones & ~mask;
                if constexpr (filling.held != 0) {
                    if ((filling.held & ~mask) != 0) {
                        std::byte held[size]{};
                        const answer known = read_backing(e, {Map.region, e.offset, held});
                        if (known.count != size) return shortfall(known);
                        value |= load_little(held) & filling.held & ~mask;
                    }
                }
                mask = full;
            }
        }
        return host_.template write_hook<Index>(e.element, value, mask);
    }

    /// Only if bits that the device has are asked for, it is read.
    constexpr answer read_fields(const trapped_entry& e, const read_access& part) const {
        const field_plan& plan = field_plans<Map>[field_plan_place<Map>(e.index)];
        const unsigned shift = static_cast<unsigned>(8 * (part.offset - e.offset));
        const std::uint64_t lanes = low_bytes(part.bytes.size()) << shift;
        std::uint64_t value = plan.constants;
        if ((plan.read_device & lanes) != 0) {
            std::byte buffer[8]{}; // not the user's, who gets nothing of what is not read whole
            const std::span<std::byte> bytes{buffer, part.bytes.size()};
            const answer below = host_.below_read({part.region, part.offset, bytes});
            if (below.count != bytes.size()) return {0, below.error};
            value |= (load_little(bytes) << shift) & plan.read_device;
        }
        if constexpr (has_shadows)
            if (plan.shadows != 0) value |= read_shadow_fields(e, lanes) & plan.read_shadow;
        store_little(part.bytes, value >> shift);
        return {part.bytes.size()};
    }

    /// In this order: the device is read, if bits beside those that pass must be preserved; the device is written,
    /// if bits pass; the shadows are written. A fault leaves what comes after it undone.
    constexpr answer write_fields(const trapped_entry& e, const write_access& part) const {
        const field_plan& plan = field_plans<Map>[field_plan_place<Map>(e.index)];
        const unsigned shift = static_cast<unsigned>(8 * (part.offset - e.offset));
        const std::uint64_t lanes = low_bytes(part.bytes.size()) << shift;
        const std::uint64_t value = load_little(part.bytes) << shift;
        if ((plan.write_device & lanes) != 0) {
            std::byte buffer[8]{};
            const std::span<std::byte> bytes{buffer, part.bytes.size()};
            std::uint64_t toward_device = (value & plan.write_device) | plan.ones;
            if ((plan.preserved & lanes) != 0) {
                const answer known = host_.below_read({part.region, part.offset, bytes});
                if (known.count != bytes.size()) return {0, known.error};
                toward_device |= (load_little(bytes) << shift) & plan.preserved;
            }
            store_little(bytes, toward_device >> shift);
            const answer done = host_.below_write({part.region, part.offset, bytes});
            if (done.count != bytes.size()) return {0, done.error};
        }
        if constexpr (has_shadows)
            if (plan.shadows != 0) write_shadow_fields(e, value, lanes);
        return {part.bytes.size()};
    }

    /// The shadow of a register with fields as it was, and what reading it leaves in it.
    constexpr std::uint64_t read_shadow_fields(const trapped_entry& e, std::uint64_t lanes) const {
        const std::span<std::byte> held{host_.shadow() + e.shadow_at, static_cast<std::size_t>(e.size())};
        const std::uint64_t before = load_little(held);
        std::uint64_t after = before;
        for (const field& f : fields_of(e)) {
            if (f.backing != from::shadow) continue;
            const std::uint64_t bits = f.mask() & lanes;
            after = (after & ~bits) | (after_read(effect_of_read(f.kind), before) & bits);
        }
        if (after != before) store_little(held, after);
        return before;
    }

    constexpr void write_shadow_fields(const trapped_entry& e, std::uint64_t value, std::uint64_t lanes) const {
        const std::size_t size = static_cast<std::size_t>(e.size());
        const std::span<std::byte> held{host_.shadow() + e.shadow_at, size};
        const std::uint64_t before = load_little(held);
        std::uint64_t after = before;
        for (const field& f : fields_of(e)) {
            if (f.backing != from::shadow) continue;
            std::uint64_t bits = f.mask() & lanes;
            if (effect_of_write(f.kind) == write_effect::first_replaces) {
                const std::span<std::byte> written{held.data() + size, size};
                const std::uint64_t taken = load_little(written);
                store_little(written, taken | bits);
                bits &= ~taken;
            }
            after = (after & ~bits) | (after_write(effect_of_write(f.kind), before, value) & bits);
        }
        store_little(held, after);
    }

    [[nodiscard]] static constexpr std::span<const field> fields_of(const trapped_entry& e) noexcept {
        const entry& stated = stated_of(e);
        return {Map.fields.data() + stated.first_field, stated.field_count};
    }

    static constexpr void fill(std::span<std::byte> to, std::byte value) noexcept {
        for (std::byte& b : to) b = value;
    }

    /// Bits are taken once; `written` remembers which.
    static constexpr void write_once(std::byte* held, std::byte* written, std::span<const std::byte> from) noexcept {
        for (std::size_t i = 0; i < from.size(); ++i) {
            held[i] = (held[i] & written[i]) | (from[i] & ~written[i]);
            written[i] = std::byte{0xff};
        }
    }

    /// Calls f<T>(at) for stretches that are as wide as a register can be, and byte by byte for others.
    template <class F>
    [[gnu::always_inline]] static constexpr void by_width(std::size_t size, const F& f) {
        switch (size) {
        case 4: return f.template operator()<std::uint32_t>(0);
        case 8: return f.template operator()<std::uint64_t>(0);
        case 2: return f.template operator()<std::uint16_t>(0);
        default: break;
        }
        for (std::size_t i = 0; i < size; ++i) f.template operator()<std::uint8_t>(i);
    }

    [[gnu::always_inline]] static constexpr void read_shadow(const std::byte* shadow, std::span<std::byte> to) {
        by_width(to.size(), [&]<class T>(std::size_t i) {
            store_bytes(to.data() + i, load_bytes<T>(shadow + i));
        });
    }

    [[gnu::always_inline]] static constexpr void write_shadow(write_effect how, std::byte* shadow,
                                                              std::span<const std::byte> from) {
        by_width(from.size(), [&]<class T>(std::size_t i) {
            store_bytes(shadow + i, after_write(how, load_bytes<T>(shadow + i), load_bytes<T>(from.data() + i)));
        });
    }

    Host host_; ///< no more than a pointer
};

} // namespace mediant::detail
