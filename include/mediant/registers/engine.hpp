// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/dispatch.hpp>
#include <mediant/core/little_endian.hpp>
#include <mediant/registers/trap_table.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

/// Accesses through one region map: split at the entries' boundaries, each part treated as its entry says.
///
/// The engine is given a Host that stands for the policy and what lies below it:
///   answer below_read(read_access), below_write(write_access)
///   std::byte* shadow()                                    the map's shadow storage, little-endian
///   result<std::uint64_t> read_hook<Position>()            whole register
///   result<void> write_hook<Position>(value, mask)         mask has ones in the written lanes
///   takes_lanes<Position>()                                whether that write hook takes partial writes
namespace mediant::detail {

template <const auto& Map, class Host>
class engine {
    using table = trap_table<Map>;

public:
    constexpr explicit engine(Host host) noexcept : host_{host} {}

    /// Inlined, so that the parts of an access stay in registers.
    [[gnu::always_inline]] constexpr answer read(const read_access& a) const {
        const std::size_t at = table::find(a.offset);
        if (at == table::none) {
            if (passes_whole(a)) return host_.below_read(a);
        } else if (a.bytes.size() - 1 < left_in(at, a.offset)) { // also false for no bytes at all
            return read_entry(at, a);
        }
        return split(host_, a.region, a.offset, a.bytes.data(), a.bytes.size());
    }

    [[gnu::always_inline]] constexpr answer write(const write_access& a) const {
        const std::size_t at = table::find(a.offset);
        if (at == table::none) {
            if (passes_whole(a)) return host_.below_write(a);
        } else if (a.bytes.size() - 1 < left_in(at, a.offset)) { // also false for no bytes at all
            return write_entry(at, a);
        }
        return split(host_, a.region, a.offset, a.bytes.data(), a.bytes.size());
    }

    /// The part of a read that lies in one entry, by its kind and backing, whatever its hooks.
    [[gnu::always_inline]] constexpr answer read_backing(const trapped_entry& e, const read_access& part) const {
        const std::size_t within = static_cast<std::size_t>(part.offset - e.offset);
        switch (e.read) {
        case treatment::pass: return host_.below_read(part);
        case treatment::shadow: read_shadow(host_.shadow() + e.shadow_at + within, part.bytes); break;
        case treatment::fill: fill(part.bytes, static_cast<std::byte>(e.value)); break;
        case treatment::value:
        case treatment::ignore: store_little(part.bytes, e.value >> (8 * within)); break;
        }
        return {part.bytes.size()};
    }

    /// The part of a write that lies in one entry, by its kind and backing, whatever its hooks. Kinds act on
    /// single bits, so the bytes that are not part of it count as not written.
    [[gnu::always_inline]] constexpr answer write_backing(const trapped_entry& e, const write_access& part) const {
        const std::size_t within = static_cast<std::size_t>(part.offset - e.offset);
        if (e.write == treatment::pass) return host_.below_write(part);
        if (e.write == treatment::shadow) write_shadow(e.kind, host_.shadow() + e.shadow_at + within, part.bytes);
        return {part.bytes.size()};
    }

private:
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
            const std::size_t at = table::find(offset);
            const std::uint64_t alike = at == table::none ? table::untrapped(offset, left) : left_in(at, offset);
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

    [[gnu::always_inline]] constexpr answer read_entry(std::size_t at, const read_access& part) const {
        const trapped_entry& e = table::entries[at];
        if (has(e.hook, on::read)) {
            const result<std::uint64_t> value = call_read_hook(host_, e);
            if (!value) return {0, value.error()};
            store_little(part.bytes, *value >> (8 * (part.offset - e.offset)));
            return {part.bytes.size()};
        }
        return read_backing(e, part);
    }

    [[gnu::always_inline]] constexpr answer write_entry(std::size_t at, const write_access& part) const {
        const trapped_entry& e = table::entries[at];
        if (has(e.hook, on::write)) {
            const unsigned shift = static_cast<unsigned>(8 * (part.offset - e.offset));
            const result<void> done =
                call_write_hook(host_, e, load_little(part.bytes) << shift, low_bytes(part.bytes.size()) << shift);
            return done ? answer{part.bytes.size()} : answer{0, done.error()};
        }
        return write_backing(e, part);
    }

    static constexpr void fill(std::span<std::byte> to, std::byte value) noexcept {
        for (std::byte& b : to) b = value;
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

    [[gnu::always_inline]] static constexpr void write_shadow(kind how, std::byte* shadow,
                                                              std::span<const std::byte> from) {
        by_width(from.size(), [&]<class T>(std::size_t i) {
            store_bytes(shadow + i, after_write(how, load_bytes<T>(shadow + i), load_bytes<T>(from.data() + i)));
        });
    }

    /// Calls f<Position>() for the hooked register at a position that is known at run time.
    template <on Which, class F>
    static constexpr void visit_hook(const trapped_entry& e, const F& f) {
        dispatch<hooked_entries<Map>.size()>(e.hooked, [&f]<std::size_t I>() {
            constexpr std::size_t position = hooked_entries<Map>[I];
            if constexpr (has(table::entries[position].hook, Which)) f.template operator()<position>();
        });
    }

    // Out of line, so that what hooks need does not burden the accesses that call none.
    [[gnu::noinline]] static constexpr result<std::uint64_t> call_read_hook(Host host, const trapped_entry& e) {
        result<std::uint64_t> out = error::io;
        visit_hook<on::read>(e, [&]<std::size_t Position>() { out = host.template read_hook<Position>(); });
        return out;
    }

    [[gnu::noinline]] static constexpr result<void> call_write_hook(Host host, const trapped_entry& e,
                                                                    std::uint64_t value, std::uint64_t mask) {
        result<void> out = error::io;
        const engine self{host};
        visit_hook<on::write>(e, [&]<std::size_t Position>() { out = self.template full_write<Position>(value, mask); });
        return out;
    }

    /// A hook that takes full widths only gets a partial write filled up: with zeros where a 0 changes nothing,
    /// else with what the register holds. Where neither is known, as for wo, the write is refused.
    template <std::size_t I>
    constexpr result<void> full_write(std::uint64_t value, std::uint64_t mask) const {
        constexpr trapped_entry e = table::entries[I];
        constexpr std::uint64_t full = low_bytes(e.size());
        if constexpr (!Host::template takes_lanes<I>()) {
            if (mask != full) {
                if constexpr (!zero_is_neutral(e.kind)) {
                    if (e.kind == kind::wo) return error::invalid;
                    std::byte held[e.size()]{};
                    const answer known = read_backing(e, {Map.region, e.offset, held});
                    if (known.count != e.size()) return known.error;
                    value |= load_little(held) & ~mask;
                }
                mask = full;
            }
        }
        return host_.template write_hook<I>(value, mask);
    }

    Host host_; ///< no more than a pointer
};

} // namespace mediant::detail
