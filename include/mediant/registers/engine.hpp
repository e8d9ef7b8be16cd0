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
    constexpr explicit engine(Host& host) noexcept : host_{host} {}

    constexpr answer read(read_access a) const {
        return split(a, [this](read_access part) { return host_.below_read(part); },
                     [this](std::size_t at, read_access part) { return read_entry(at, part); });
    }

    constexpr answer write(write_access a) const {
        return split(a, [this](write_access part) { return host_.below_write(part); },
                     [this](std::size_t at, write_access part) { return write_entry(at, part); });
    }

    /// The part of a read that lies in one entry, by its kind and backing, whatever its hooks.
    constexpr answer read_backing(const trapped_entry& e, read_access part) const {
        const std::size_t within = static_cast<std::size_t>(part.offset - e.offset);
        if (e.what == entry::shape::hide) return fill(part.bytes, std::byte{0xff});
        if (e.kind == kind::wo) return fill(part.bytes, std::byte{0});
        switch (e.backing) {
        case from::shadow: copy(part.bytes, host_.shadow() + e.shadow_at + within); return {part.bytes.size()};
        case from::constant:
            if (!e.is_register()) return fill(part.bytes, static_cast<std::byte>(e.value));
            store_little(part.bytes, e.value >> (8 * within));
            return {part.bytes.size()};
        case from::device: break;
        }
        return host_.below_read(part);
    }

    /// The part of a write that lies in one entry, by its kind and backing, whatever its hooks. Kinds act on
    /// single bits, so the bytes that are not part of it count as not written.
    constexpr answer write_backing(const trapped_entry& e, write_access part) const {
        if (e.what == entry::shape::hide || e.kind == kind::ro || e.backing == from::constant)
            return {part.bytes.size()};
        if (e.backing == from::device) return host_.below_write(part);
        std::byte* const shadow = host_.shadow() + e.shadow_at + static_cast<std::size_t>(part.offset - e.offset);
        write_shadow(e.kind, {shadow, part.bytes.size()}, part.bytes);
        return {part.bytes.size()};
    }

private:
    /// Entries that begin and end at dwords never share one with what passes, so an access within one dword
    /// is of one kind and needs no search for the next entry.
    static constexpr bool whole_dwords = [] {
        for (const trapped_entry& e : table::entries)
            if (e.offset % 4 != 0 || e.size % 4 != 0) return false;
        return true;
    }();

    template <class Access, class Pass, class Trap>
    static constexpr answer split(Access a, const Pass& pass, const Trap& trap) {
        std::size_t done = 0;
        while (done < a.bytes.size()) {
            const std::uint64_t offset = a.offset + done;
            const std::size_t left = a.bytes.size() - done;
            const std::size_t at = table::find(offset);
            answer part;
            std::size_t size = left;
            if (at == table::none) {
                if (!(whole_dwords && left <= 4 - offset % 4))
                    size = static_cast<std::size_t>(table::untrapped(offset, left));
                part = pass(a.part(done, size));
            } else {
                const std::uint64_t in_entry = table::entries[at].where().end() - offset;
                if (in_entry < left) size = static_cast<std::size_t>(in_entry);
                part = trap(at, a.part(done, size));
            }
            done += static_cast<std::size_t>(part.count);
            if (part.count != size) return {done, part.error};
        }
        return {done};
    }

    constexpr answer read_entry(std::size_t at, read_access part) const {
        const trapped_entry& e = table::entries[at];
        if (has(e.hook, on::read)) {
            const result<std::uint64_t> value = call_read_hook(at);
            if (!value) return {0, value.error()};
            store_little(part.bytes, *value >> (8 * (part.offset - e.offset)));
            return {part.bytes.size()};
        }
        return read_backing(e, part);
    }

    constexpr answer write_entry(std::size_t at, write_access part) const {
        const trapped_entry& e = table::entries[at];
        if (has(e.hook, on::write)) {
            const unsigned shift = static_cast<unsigned>(8 * (part.offset - e.offset));
            const result<void> done =
                call_write_hook(at, load_little(part.bytes) << shift, low_bytes(part.bytes.size()) << shift);
            return done ? answer{part.bytes.size()} : answer{0, done.error()};
        }
        return write_backing(e, part);
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
        constexpr std::uint64_t full = low_bytes(e.size);
        if constexpr (!Host::template takes_lanes<I>()) {
            if (mask != full) {
                if constexpr (!zero_is_neutral(e.kind)) {
                    if (e.kind == kind::wo) return error::invalid;
                    std::byte held[e.size]{};
                    const answer known = read_backing(e, {Map.region, e.offset, held});
                    if (known.count != e.size) return known.error;
                    value |= load_little(held) & ~mask;
                }
                mask = full;
            }
        }
        return host_.template write_hook<I>(value, mask);
    }

    static constexpr answer fill(std::span<std::byte> to, std::byte value) noexcept {
        for (std::byte& b : to) b = value;
        return {to.size()};
    }

    static constexpr void copy(std::span<std::byte> to, const std::byte* from) noexcept {
        switch (to.size()) {
        case 1: case 2: case 4: case 8: store_little(to, load_little({from, to.size()})); return;
        default: break;
        }
        for (std::size_t i = 0; i < to.size(); ++i) to[i] = from[i];
    }

    static constexpr void write_shadow(kind how, std::span<std::byte> shadow, std::span<const std::byte> written) noexcept {
        while (!written.empty()) {
            const std::size_t n = written.size() >= 8 ? 8 : written.size();
            const std::uint64_t old = load_little(shadow.first(n));
            store_little(shadow.first(n), after_write(how, old, load_little(written.first(n)), low_bytes(n)));
            shadow = shadow.subspan(n);
            written = written.subspan(n);
        }
    }

    Host& host_;
};

} // namespace mediant::detail
