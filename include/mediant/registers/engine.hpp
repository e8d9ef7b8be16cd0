// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/registers/backing.hpp>
#include <mediant/registers/hook_calls.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>

/// Accesses through one region map: split at the entries' boundaries, each part treated as its entry says.
///
/// The engine is given a Host that stands for the policy and what lies below it, no larger than a pointer. Hooks are
/// given it by value, so that it never needs an address:
///   outcome below_read(region, offset, bytes, size), below_write(region, offset, bytes, size)
///   std::byte* shadow()                                  the map's shadow storage, little-endian
///   std::uint8_t trapped_dynamics()                      a bit for each dynamic range that is trapped
///   static result<std::uint64_t> read_hook<Index>(host, element)      whole register
///   static result<void> write_hook<Index>(host, element, value, mask) mask has ones in the written lanes
///   static result<void> written_hook<Index>(host, element, value, mask)
///   static takes_lanes<Index>()                          whether the write hook takes partial writes
namespace mediant::detail {

template <const auto& Map, class Host>
class engine : public backing<Map, Host> {
    using table = trap_table<Map>;
    using base = backing<Map, Host>;
    using calls = hooks<Map, Host>;
    using base::fill, base::has_shadows, base::host_, base::shadow_of, base::stated_of;

    static constexpr bool has_aliases = [] {
        for (const entry& e : Map.entries)
            if (e.what == entry::shape::alias) return true;
        return false;
    }();

public:
    constexpr explicit engine(Host host) noexcept : base{host} {}

    /// Most accesses lie in one entry, or pass: what those need is inlined, so that it stays in registers; the rest is
    /// jumped to, with plain values in the order that leaves them where they are.
    [[gnu::always_inline]] constexpr outcome read(std::uint64_t offset, std::span<std::byte> bytes) const {
        if (bytes.empty()) return packed(0);
        if (const trapped_entry* const e = entry_at(offset)) {
            const std::uint64_t alike = e->end - offset;
            const std::size_t here = alike < bytes.size() ? static_cast<std::size_t>(alike) : bytes.size();
            if (is_shadow(*e) || e->read_first == treatment::value) {
                if (is_shadow(*e) ? !copied(shadow_of(*e, offset), bytes.data(), here)
                                  : !copied(value_of(*e, offset), bytes.data(), here))
                    return read_parts(host_, offset, bytes.data(), bytes.size(), bytes.size());
                if (here == bytes.size()) return packed(here);
                return read_split(host_, offset + here, bytes.data() + here, bytes.size() - here, bytes.size());
            }
            if (alike < bytes.size()) return read_parts(host_, offset, bytes.data(), bytes.size(), bytes.size());
            if (calls::has_hooks(on::read) && e->read_first == treatment::hook && bytes.size() == e->size())
                return calls::call_read(host_, *e, bytes.data());
            return read_special(host_, *e, offset, bytes.data(), bytes.size());
        }
        if (!passes_clearly(offset, bytes.size()))
            return read_parts(host_, offset, bytes.data(), bytes.size(), bytes.size());
        return host_.below_read(Map.region, offset, bytes.data(), bytes.size());
    }
    [[gnu::always_inline]] constexpr outcome write(std::uint64_t offset, std::span<const std::byte> bytes) const {
        if (bytes.empty()) return packed(0);
        if (const trapped_entry* const e = entry_at(offset)) {
            const std::uint64_t alike = e->end - offset;
            const std::size_t here = alike < bytes.size() ? static_cast<std::size_t>(alike) : bytes.size();
            if (is_written(*e)) {
                if (!copied(bytes.data(), shadow_of(*e, offset), here))
                    return write_parts(host_, offset, bytes.data(), bytes.size(), bytes.size());
                if (here == bytes.size()) return packed(here);
                return write_split(host_, offset + here, bytes.data() + here, bytes.size() - here, bytes.size());
            }
            if (alike < bytes.size()) return write_split(host_, offset, bytes.data(), bytes.size(), bytes.size());
            if constexpr (has_shadows)
                if (e->write_first == treatment::effect)
                    return write_effect_on(host_, *e, offset, bytes.data(), bytes.size());
            if (e->write_first == treatment::ignore) return packed(bytes.size());
            if (calls::has_hooks(on::write) && e->write_first == treatment::hook && bytes.size() == e->size())
                return calls::call_write(host_, *e, bytes.data());
            return write_special(host_, *e, offset, bytes.data(), bytes.size());
        }
        if (!passes_clearly(offset, bytes.size()))
            return write_parts(host_, offset, bytes.data(), bytes.size(), bytes.size());
        return host_.below_write(Map.region, offset, bytes.data(), bytes.size());
    }

    /// The first part of an access of 1 to 8 bytes, as far as it lies in one trapped entry, as a number: fewer bytes than
    /// were asked for where that ends. For a world that splits accesses by itself.
    [[nodiscard]] [[gnu::always_inline]] constexpr outcome read_first(std::uint64_t offset, std::size_t size,
                                                                      std::uint64_t& value) const {
        const first_part part = first_of(offset, size);
        const trapped_entry* const e = part.entry;
        if (part.size == 0) return packed(0, error::io);
        if (e != nullptr && e->read_first == treatment::value) {
            value = e->value >> (8 * (part.offset - e->offset) & 63);
            return packed(part.size);
        }
        if (e != nullptr && is_shadow(*e) && part.aligned() &&
            load_aligned(shadow_of(*e, part.offset), part.size, value))
            return packed(part.size);
        alignas(8) std::byte bytes[8]{};
        const outcome done = e == nullptr ? host_.below_read(Map.region, part.offset, bytes, part.size)
                                          : read_special(host_, *e, part.offset, bytes, part.size);
        value = load_bytes<std::uint64_t>(bytes);
        return done;
    }
    [[nodiscard]] [[gnu::always_inline]] constexpr outcome write_first(std::uint64_t offset, std::size_t size,
                                                                       std::uint64_t value) const {
        const first_part part = first_of(offset, size);
        const trapped_entry* const e = part.entry;
        if (part.size == 0) return packed(0, error::io);
        if (e != nullptr && e->write_first == treatment::ignore) return packed(part.size);
        if (e != nullptr && is_written(*e) && part.aligned() &&
            store_aligned(shadow_of(*e, part.offset), part.size, value))
            return packed(part.size);
        alignas(8) std::byte bytes[8]{};
        store_bytes(bytes, value);
        if (e == nullptr) return host_.below_write(Map.region, part.offset, bytes, part.size);
        return write_special(host_, *e, part.offset, bytes, part.size);
    }

private:
    /// Where an access is led to, which for an alias is elsewhere. Nothing, of no size, where no entry is; of a size,
    /// what an alias leads to and the device has.
    struct first_part {
        const trapped_entry* entry = nullptr;
        std::uint64_t offset = 0;
        std::size_t size = 0;

        /// Whether its shadow begins where as many bytes can, as each register's and block's does.
        [[nodiscard]] constexpr bool aligned() const noexcept { return ((offset - entry->offset) & (size - 1)) == 0; }
    };
    [[nodiscard]] [[gnu::always_inline]] constexpr first_part first_of(std::uint64_t offset,
                                                                       std::size_t size) const noexcept {
        const trapped_entry* e = table::entry_at(offset);
        if (e == nullptr) return {};
        const std::size_t here = base::in_part(extent(e, offset, size));
        if constexpr (has_aliases && verified) {
            if (stated_of(*e).what == entry::shape::alias) {
                offset = e->value + (offset - e->offset);
                e = table::entry_at(offset);
            }
        }
        return {e, offset, here};
    }

    /// The entry that an access begins in; null where it passes.
    [[nodiscard]] [[gnu::always_inline]] constexpr const trapped_entry* entry_at(std::uint64_t offset) const noexcept {
        return passed_now(offset) != 0 ? nullptr : table::entry_at(offset);
    }

    /// How many of `left` bytes from there on are alike.
    [[nodiscard]] [[gnu::always_inline]] constexpr std::size_t extent(const trapped_entry* e, std::uint64_t offset,
                                                                      std::size_t left) const noexcept {
        std::uint64_t alike = 0;
        if (e != nullptr)
            alike = e->end - offset;
        else if (alike = passed_now(offset); alike == 0)
            return passing(offset, left);
        return alike < left ? static_cast<std::size_t>(alike) : left;
    }

    /// Whether all of an access that begins in no entry passes, as far as that is seen without a search.
    [[nodiscard]] [[gnu::always_inline]] constexpr bool passes_clearly(std::uint64_t offset,
                                                                       std::size_t size) const noexcept {
        if (const std::uint64_t passed = passed_now(offset)) return size <= passed;
        return table::whole_dwords && size <= 4 - offset % 4;
    }
    /// How many of the bytes from one that passes on do, mostly seen without a search.
    [[nodiscard]] static constexpr std::size_t passing(std::uint64_t offset, std::size_t left) noexcept {
        if (table::whole_dwords && left <= 4 - offset % 4) return left;
        return static_cast<std::size_t>(table::untrapped(offset, left));
    }

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
    /// The last `left` bytes of an access of several parts: as long as they need no call, and of any kind.
    [[gnu::noinline]] static constexpr outcome read_split(Host host, std::uint64_t offset, std::byte* bytes,
                                                          std::size_t left, std::size_t size) {
        const engine self{host};
        while (true) {
            const trapped_entry* const e = self.entry_at(offset);
            if (e == nullptr) return read_parts(host, offset, bytes, left, size);
            const std::uint64_t alike = e->end - offset;
            const std::size_t here = alike < left ? static_cast<std::size_t>(alike) : left;
            if (is_shadow(*e)) {
                if (!copied(self.shadow_of(*e, offset), bytes, here))
                    return read_parts(host, offset, bytes, left, size);
            } else if (e->read_first != treatment::value || !copied(value_of(*e, offset), bytes, here)) {
                return read_parts(host, offset, bytes, left, size);
            }
            left -= here;
            if (left == 0) return packed(size);
            offset += here;
            bytes += here;
        }
    }
    [[gnu::noinline]] static constexpr outcome read_parts(Host host, std::uint64_t offset, std::byte* bytes,
                                                           std::size_t left, std::size_t size) {
        const engine self{host};
        while (true) {
            const trapped_entry* const e = self.entry_at(offset);
            const std::size_t here = self.extent(e, offset, left);
            const outcome part = self.read_part(e, offset, {bytes, here});
            if (unpacked(part).count != here) return packed(size - left + unpacked(part).count, unpacked(part).error);
            left -= here;
            if (left == 0) return packed(size);
            offset += here;
            bytes += here;
        }
    }
    [[gnu::noinline]] static constexpr outcome write_split(Host host, std::uint64_t offset, const std::byte* bytes,
                                                           std::size_t left, std::size_t size) {
        const engine self{host};
        while (true) {
            const trapped_entry* const e = self.entry_at(offset);
            if (e == nullptr) return write_parts(host, offset, bytes, left, size);
            const std::uint64_t alike = e->end - offset;
            const std::size_t here = alike < left ? static_cast<std::size_t>(alike) : left;
            if (is_written(*e)) {
                if (!copied(bytes, self.shadow_of(*e, offset), here))
                    return write_parts(host, offset, bytes, left, size);
            } else if (has_shadows && e->write_first == treatment::effect) {
                if (!changed(e->effect, self.shadow_of(*e, offset), bytes, here))
                    return write_parts(host, offset, bytes, left, size);
            } else if (e->write_first != treatment::ignore) {
                return write_parts(host, offset, bytes, left, size);
            }
            left -= here;
            if (left == 0) return packed(size);
            offset += here;
            bytes += here;
        }
    }
    [[gnu::noinline]] static constexpr outcome write_parts(Host host, std::uint64_t offset, const std::byte* bytes,
                                                           std::size_t left, std::size_t size) {
        const engine self{host};
        while (true) {
            const trapped_entry* const e = self.entry_at(offset);
            const std::size_t here = self.extent(e, offset, left);
            const outcome part = self.write_part(e, offset, {bytes, here});
            if (unpacked(part).count != here) return packed(size - left + unpacked(part).count, unpacked(part).error);
            left -= here;
            if (left == 0) return packed(size);
            offset += here;
            bytes += here;
        }
    }

    /// An access that passes, or lies in one entry.
    constexpr outcome read_part(const trapped_entry* e, std::uint64_t offset, std::span<std::byte> bytes) const {
        if (e == nullptr) return host_.below_read(Map.region, offset, bytes.data(), bytes.size());
        return read_special(host_, *e, offset, bytes.data(), bytes.size());
    }
    constexpr outcome write_part(const trapped_entry* e, std::uint64_t offset, std::span<const std::byte> bytes) const {
        if (e == nullptr) return host_.below_write(Map.region, offset, bytes.data(), bytes.size());
        return write_special(host_, *e, offset, bytes.data(), bytes.size());
    }

    [[nodiscard]] [[gnu::always_inline]] static constexpr bool is_shadow(const trapped_entry& e) noexcept {
        return has_shadows && e.read_first == treatment::shadow;
    }
    /// A value that never changes, as it lies in memory.
    [[nodiscard]] [[gnu::always_inline]] static constexpr const std::byte* value_of(const trapped_entry& e,
                                                                                    std::uint64_t offset) noexcept {
        if (std::is_constant_evaluated()) return nullptr;
        return reinterpret_cast<const std::byte*>(&e.value) + (offset - e.offset);
    }
    [[nodiscard]] [[gnu::always_inline]] static constexpr bool is_written(const trapped_entry& e) noexcept {
        return has_shadows && e.write_first == treatment::shadow;
    }

    /// Copies as many bytes as registers have; false, and nothing done, for other numbers of them, and where `from` is
    /// not in memory.
    [[nodiscard]] [[gnu::always_inline]] static constexpr bool copied(const std::byte* from, std::byte* to,
                                                                      std::size_t size) noexcept {
        if (std::is_constant_evaluated() || std::endian::native != std::endian::little) return false;
        const auto move = [from, to]<class T>() __attribute__((always_inline)) {
            store_bytes(to, load_bytes<T>(from));
            return true;
        };
        switch (size) {
        case 4: return move.template operator()<std::uint32_t>();
        case 8: return move.template operator()<std::uint64_t>();
        case 2: return move.template operator()<std::uint16_t>();
        case 1: return move.template operator()<std::uint8_t>();
        default: return false;
        }
    }
    /// The same for a write that acts on what the shadow holds.
    [[nodiscard]] [[gnu::always_inline]] static constexpr bool changed(write_effect how, std::byte* shadow,
                                                                       const std::byte* from,
                                                                       std::size_t size) noexcept {
        std::uint64_t before = 0;
        std::uint64_t written = 0;
        switch (size) {
        case 4: before = load_bytes<std::uint32_t>(shadow), written = load_bytes<std::uint32_t>(from); break;
        case 8: before = load_bytes<std::uint64_t>(shadow), written = load_bytes<std::uint64_t>(from); break;
        case 2: before = load_bytes<std::uint16_t>(shadow), written = load_bytes<std::uint16_t>(from); break;
        case 1: before = load_bytes<std::uint8_t>(shadow), written = load_bytes<std::uint8_t>(from); break;
        default: return false;
        }
        const std::uint64_t after = after_write(how, before, written);
        switch (size) {
        case 4: store_bytes(shadow, static_cast<std::uint32_t>(after)); break;
        case 8: store_bytes(shadow, after); break;
        case 2: store_bytes(shadow, static_cast<std::uint16_t>(after)); break;
        default: store_bytes(shadow, static_cast<std::uint8_t>(after)); break;
        }
        return true;
    }
    [[gnu::noinline]] static constexpr outcome write_effect_on(Host host, const trapped_entry& e, std::uint64_t offset,
                                                            const std::byte* bytes, std::size_t size) {
        if (!changed(e.effect, engine{host}.shadow_of(e, offset), bytes, size))
            return write_special(host, e, offset, bytes, size);
        return packed(size);
    }

    /// Whatever is not done where it is met: reads with a hook, a stated width, fields or an effect, what is denied,
    /// and registers of the device.
    [[gnu::noinline]] static constexpr outcome read_special(Host host, const trapped_entry& e, std::uint64_t offset,
                                                            std::byte* bytes, std::size_t size) {
        const read_access part{Map.region, offset, {bytes, size}};
        if ((e.more & special::odd) != 0) {
            const entry& stated = stated_of(e);
            if (stated.what == entry::shape::deny) return packed(0, error::denied);
            if constexpr (has_aliases && !verified) {
                if (stated.what == entry::shape::alias) {
                    const engine self{host};
                    const std::uint64_t origin = e.value + (offset - e.offset);
                    return self.read_part(self.entry_at(origin), origin, part.bytes);
                }
            }
            if (!takes_width(stated, offset, size)) {
                if (stated.on_other_width == otherwise::refuse) return packed(0, error::invalid);
                fill(part.bytes, std::byte{0xff});
                return packed(size);
            }
        }
        if constexpr (calls::has_hooks(on::read)) {
            if ((e.more & special::read_hook) != 0) {
                if (!verified && size == e.size()) return calls::call_read(host, e, bytes);
                alignas(8) std::byte whole[8]{};
                const answer done = unpacked(calls::call_read(host, e, whole));
                if (done.error != error::none) return packed(0, done.error);
                store_part(part.bytes, load_bytes<std::uint64_t>(whole) >> (8 * (offset - e.offset)));
                return packed(size);
            }
        }
        return packed(engine{host}.read_backing(e, part));
    }

    [[gnu::noinline]] static constexpr outcome write_special(Host host, const trapped_entry& e, std::uint64_t offset,
                                                            const std::byte* bytes, std::size_t size) {
        const write_access part{Map.region, offset, {bytes, size}};
        if ((e.more & special::odd) != 0) {
            const entry& stated = stated_of(e);
            if (stated.what == entry::shape::deny) return packed(0, error::denied);
            if constexpr (has_aliases && !verified) {
                if (stated.what == entry::shape::alias) {
                    const engine self{host};
                    const std::uint64_t origin = e.value + (offset - e.offset);
                    return self.write_part(self.entry_at(origin), origin, part.bytes);
                }
            }
            if (!takes_width(stated, offset, size))
                return stated.on_other_width == otherwise::refuse ? packed(0, error::invalid) : packed(size);
        }
        const outcome done = calls::has_hooks(on::write) && (e.more & special::write_hook) != 0
                                 ? calls::write_lanes(host, e, offset, part.bytes)
                                 : packed(engine{host}.write_backing(e, part));
        if constexpr (calls::has_hooks(on::written)) {
            if (unpacked(done).count == size && (e.more & special::written_hook) != 0) {
                const unsigned shift = static_cast<unsigned>(8 * (offset - e.offset));
                const result<void> hooked = calls::template visit_hook<on::written>(
                    e, result<void>{error::io}, [&]<std::size_t Index>() __attribute__((always_inline)) {
                        return Host::template written_hook<Index>(host, e.element, load_part(part.bytes) << shift,
                                                                  low_bytes(size) << shift);
                    });
                if (!hooked) return packed(0, hooked.error());
            }
        }
        return done;
    }

    /// Whether a register takes an access: one of its stated widths, naturally aligned.
    [[nodiscard]] static constexpr bool takes_width(const entry& stated, std::uint64_t offset, std::size_t size) noexcept {
        return stated.widths == width::any ||
               (size <= 8 && (size & (size - 1)) == 0 && offset % size == 0 &&
                (static_cast<unsigned>(stated.widths) & size) != 0);
    }
};

} // namespace mediant::detail
