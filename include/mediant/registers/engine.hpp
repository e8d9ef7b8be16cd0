// SPDX-License-Identifier: BSD-3-Clause
#pragma once

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
        } else if (a.bytes.size() <= left_in(at, a.offset)) {
            return read_entry(at, a);
        }
        return split(host_, a.region, a.offset, a.bytes.data(), a.bytes.size());
    }

    [[gnu::always_inline]] constexpr answer write(const write_access& a) const {
        const std::size_t at = table::find(a.offset);
        if (at == table::none) {
            if (passes_whole(a)) return host_.below_write(a);
        } else if (a.bytes.size() <= left_in(at, a.offset)) {
            return write_entry(at, a);
        }
        return split(host_, a.region, a.offset, a.bytes.data(), a.bytes.size());
    }

    /// The part of a read that lies in one entry, by its kind and backing, whatever its hooks.
    constexpr answer read_backing(const trapped_entry& e, const read_access& part) const {
        if (e.read == treatment::pass) return host_.below_read(part);
        const std::size_t within = static_cast<std::size_t>(part.offset - e.offset);
        if (!e.is_register) return read_area(e, part, within);
        const std::uint64_t value =
            e.read == treatment::shadow ? load_bytes<std::uint64_t>(host_.shadow() + e.shadow_at) : e.value;
        store_little(part.bytes, value >> (8 * within));
        return {part.bytes.size()};
    }

    /// The part of a write that lies in one entry, by its kind and backing, whatever its hooks. Kinds act on
    /// single bits, so the bytes that are not part of it count as not written.
    constexpr answer write_backing(const trapped_entry& e, const write_access& part) const {
        if (e.write == treatment::ignore) return {part.bytes.size()};
        if (e.write == treatment::pass) return host_.below_write(part);
        const std::size_t within = static_cast<std::size_t>(part.offset - e.offset);
        if (!e.is_register) return write_area(e, part, within);
        // Bytes beside the register are stored as they were: calls into one state are serialised.
        std::byte* const shadow = host_.shadow() + e.shadow_at;
        const std::uint64_t old = load_bytes<std::uint64_t>(shadow);
        store_bytes(shadow, after_write(e.kind, old, load_little(part.bytes) << (8 * within),
                                        low_bytes(part.bytes.size()) << (8 * within)));
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

    constexpr answer read_entry(std::size_t at, const read_access& part) const {
        const trapped_entry& e = table::entries[at];
        if (has(e.hook, on::read)) {
            const result<std::uint64_t> value = call_read_hook(at);
            if (!value) return {0, value.error()};
            store_little(part.bytes, *value >> (8 * (part.offset - e.offset)));
            return {part.bytes.size()};
        }
        return read_backing(e, part);
    }

    constexpr answer write_entry(std::size_t at, const write_access& part) const {
        const trapped_entry& e = table::entries[at];
        if (has(e.hook, on::write)) {
            const unsigned shift = static_cast<unsigned>(8 * (part.offset - e.offset));
            const result<void> done =
                call_write_hook(at, load_little(part.bytes) << shift, low_bytes(part.bytes.size()) << shift);
            return done ? answer{part.bytes.size()} : answer{0, done.error()};
        }
        return write_backing(e, part);
    }

    /// A read of a block or a hidden window that does not pass.
    constexpr answer read_area(const trapped_entry& e, const read_access& part, std::size_t within) const {
        const std::byte* const shadow = host_.shadow() + e.shadow_at + within;
        for (std::size_t i = 0; i < part.bytes.size(); ++i)
            part.bytes[i] = e.read == treatment::shadow ? shadow[i] : static_cast<std::byte>(e.value);
        return {part.bytes.size()};
    }

    constexpr answer write_area(const trapped_entry& e, const write_access& part, std::size_t within) const {
        std::byte* const shadow = host_.shadow() + e.shadow_at + within;
        for (std::size_t i = 0; i < part.bytes.size(); ++i)
            shadow[i] = static_cast<std::byte>(after_write(e.kind, static_cast<std::uint64_t>(shadow[i]),
                                                           static_cast<std::uint64_t>(part.bytes[i]), 0xff));
        return {part.bytes.size()};
    }

    /// Calls f<Position>() for the hooked register at a position that is known at run time: a jump table.
    template <on Which, class F>
    static constexpr void visit_hook(std::size_t at, const F& f) {
        [&]<std::size_t... I>(std::index_sequence<I...>) {
            static_cast<void>(((has(table::entries[I].hook, Which) && at == I && (call_if<Which, I>(f), true)) || ...));
        }(std::make_index_sequence<table::entries.size()>{});
    }
    template <on Which, std::size_t I, class F>
    static constexpr void call_if(const F& f) {
        if constexpr (has(table::entries[I].hook, Which)) f.template operator()<I>();
    }

    constexpr result<std::uint64_t> call_read_hook(std::size_t at) const {
        result<std::uint64_t> out = error::io;
        visit_hook<on::read>(at, [&]<std::size_t I>() { out = host_.template read_hook<I>(); });
        return out;
    }

    constexpr result<void> call_write_hook(std::size_t at, std::uint64_t value, std::uint64_t mask) const {
        result<void> out = error::io;
        visit_hook<on::write>(at, [&]<std::size_t I>() { out = full_write<I>(value, mask); });
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
