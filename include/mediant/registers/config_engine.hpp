// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/result.hpp>
#include <mediant/registers/config_state.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

/// Accesses through a config map. A read asks the layer below and overlays its answer; a write is split where bytes
/// are treated differently, and what passes goes to the layer below as it came. `Host` is
///   answer below_read(read_access), below_write(write_access)
///   result<void> written<Index>(value, mask)   the hook of an observed register; mask has ones in the written lanes
namespace mediant::detail {

/// How config space goes on for a front that asks the VFIO core for what passes by itself.
struct config_run {
    std::uint32_t size = 0; ///< bytes until what passes and what does not change
    bool taken = false;     ///< the map answers, or keeps what is written
    bool observed = false;  ///< of a write: somewhere in it is what the map or the policy must be told of
};

template <const auto& Map, class Host>
class config_engine {
    using shape = config_entry::shape;
    using state_type = config_state<Map>;

public:
    constexpr config_engine(state_type& state, Host host) noexcept : state_{state}, host_{host} {}

    constexpr answer read(const read_access& a) const {
        const answer done = host_.below_read(a);
        overlay(a.part(0, static_cast<std::size_t>(done.count)));
        return done;
    }

    constexpr answer write(const write_access& a) const {
        answer done;
        while (done.count < a.bytes.size()) {
            const auto from = static_cast<std::size_t>(done.count);
            std::size_t size = 1;
            const target first = target_of(a.offset + from);
            if (first.to == target::kind::below)
                while (from + size < a.bytes.size() && target_of(a.offset + from + size).to == first.to) ++size;
            const write_access part = a.part(from, size);
            if (first.to == target::kind::shadow) {
                hold(first, part.bytes[0]);
            } else if (first.to == target::kind::below) {
                const answer passed = host_.below_write(part);
                remember(part.part(0, static_cast<std::size_t>(passed.count)));
                done.count += passed.count;
                done.error = passed.error;
                if (passed.count != size) break;
                continue;
            }
            done.count += size;
        }
        const result<void> told = tell(a.part(0, static_cast<std::size_t>(done.count)));
        return told ? done : answer{0, told.error()};
    }

    // The same in parts, for a front whose passed writes go around this.

    [[nodiscard]] constexpr config_run run(bool write, std::uint64_t offset, std::uint32_t count) const {
        config_run out{0, write ? keeps(offset) : answers(offset)};
        do {
            out.observed = out.observed || (write && observes(offset + out.size));
            ++out.size;
        } while (out.size < count && (write ? keeps(offset + out.size) : answers(offset + out.size)) == out.taken);
        return out;
    }
    /// A write of which nothing passes.
    constexpr void keep(const write_access& a) const {
        for (std::size_t i = 0; i < a.bytes.size(); ++i)
            if (const target to = target_of(a.offset + i); to.to == target::kind::shadow) hold(to, a.bytes[i]);
    }
    /// What was written, of which some passed.
    constexpr result<void> written(const write_access& a) const {
        remember(a);
        return tell(a);
    }

private:
    struct target {
        enum class kind : std::uint8_t { below, nowhere, shadow };
        kind to = kind::below;
        std::uint8_t writable = 0;
        std::uint16_t place = 0; ///< in the shadows
    };

    /// Where a written byte goes.
    [[nodiscard]] constexpr target target_of(std::uint64_t offset) const noexcept {
        bool passes = true;
        for (std::size_t i = 0; i < Map.entries.size(); ++i) {
            const config_entry& e = Map.entries.data()[i];
            const config_range where{state_.where.data()[i], e.size};
            if (where.offset == state_type::absent || offset >= where.end() || offset < where.offset) continue;
            const auto in = static_cast<std::size_t>(offset - where.offset);
            const auto place = static_cast<std::uint16_t>(config_shadow_places<Map>[i] + in);
            const std::size_t header = e.in.where == anchor::to::capability ? 2 : 4;
            switch (e.what) {
            case shape::shadow: return {target::kind::shadow, e.writable_at(in), place};
            case shape::add:
                if (e.in_shadow && in >= header) return {target::kind::shadow, 0xff, place};
                passes = false;
                break;
            case shape::constant: passes = passes && Map.masks.data()[e.first_byte + in] != 0xff; break;
            case shape::swallow: passes = false; break;
            default: break;
            }
        }
        if constexpr (state_type::edits_capabilities) passes = passes && !hides(state_.capabilities, offset);
        if constexpr (state_type::edits_extended) passes = passes && !hides(state_.extended, offset);
        return {passes ? target::kind::below : target::kind::nowhere};
    }

    constexpr void hold(const target& to, std::byte written) const noexcept {
        std::byte& held = state_.shadows.data()[to.place];
        const std::byte mask{to.writable};
        held = (held & ~mask) | (written & mask);
    }

    [[nodiscard]] constexpr bool keeps(std::uint64_t offset) const noexcept {
        return target_of(offset).to != target::kind::below;
    }
    /// Whether a byte does not read as the layer below has it, whatever that is.
    [[nodiscard]] constexpr bool answers(std::uint64_t offset) const {
        std::byte zeros[1]{};
        std::byte ones[1]{std::byte{0xff}};
        overlay({region_index::config, offset, zeros});
        overlay({region_index::config, offset, ones});
        return zeros[0] != std::byte{0} || ones[0] != std::byte{0xff};
    }
    [[nodiscard]] constexpr bool observes(std::uint64_t offset) const noexcept {
        for (std::size_t i = 0; i < Map.entries.size(); ++i) {
            const std::uint16_t at = state_.where.data()[i];
            if (Map.entries.data()[i].what != shape::observe || at == state_type::absent) continue;
            if (offset >= at && offset - at < Map.entries.data()[i].size) return true;
        }
        for (std::size_t i = 0; i < state_.bars.size(); ++i) {
            const std::uint32_t at = bar_register(bar_statements<Map>.data()[i].number);
            if (offset >= at && offset - at < (state_.bars.data()[i].wide ? 8u : 4u)) return true;
        }
        return bar_statements<Map>.size() != 0 && offset == config_offset::command;
    }

    [[nodiscard]] static constexpr bool hides(const list_edits& edits, std::uint64_t offset) noexcept {
        for (const config_range& each : edits.hidden)
            if (offset >= each.offset && offset < each.end()) return true;
        return false;
    }

    /// Calls f(byte, i) for the bytes of an access that lie in [offset, offset + size), i counting from there.
    template <class Byte, class F>
    static constexpr void each_common(const basic_access<Byte>& a, std::uint64_t offset, std::size_t size, const F& f) {
        const std::uint64_t begin = a.offset > offset ? a.offset : offset;
        const std::uint64_t a_end = a.offset + a.bytes.size();
        const std::uint64_t end = a_end < offset + size ? a_end : offset + size;
        for (std::uint64_t at = begin; at < end; ++at)
            f(a.bytes[static_cast<std::size_t>(at - a.offset)], static_cast<std::size_t>(at - offset));
    }

    /// Gives the bits of `mask` the value's.
    static constexpr void put(const read_access& a, std::uint64_t offset, std::size_t size, std::uint64_t value,
                              std::uint64_t mask) {
        each_common(a, offset, size, [&](std::byte& b, std::size_t i) {
            const auto bits = static_cast<std::byte>(mask >> (8 * i));
            b = (b & ~bits) | (static_cast<std::byte>(value >> (8 * i)) & bits);
        });
    }

    constexpr void overlay(const read_access& a) const {
        if constexpr (state_type::edits_capabilities) overlay_hidden(a, state_.capabilities);
        if constexpr (state_type::edits_extended) overlay_hidden(a, state_.extended);
        for (std::size_t i = 0; i < Map.entries.size(); ++i) {
            const config_entry& e = Map.entries.data()[i];
            const std::uint16_t at = state_.where.data()[i];
            if (at == state_type::absent) continue;
            if (e.what == shape::shadow || (e.what == shape::add && e.in_shadow)) {
                each_common(a, at, e.size, [&](std::byte& b, std::size_t k) { b = state_.shadow_of(i)[k]; });
            } else if (e.what == shape::constant || e.what == shape::add) {
                each_common(a, at, e.size, [&](std::byte& b, std::size_t k) {
                    const std::byte mask{Map.masks.data()[e.first_byte + k]};
                    b = (b & ~mask) | (std::byte{Map.values.data()[e.first_byte + k]} & mask);
                });
            }
        }
        if constexpr (state_type::edits_capabilities) {
            const list_edits& edits = state_.capabilities;
            put(a, config_offset::status, 2, edits.head != 0 ? 0x0010 : 0, 0x0010);
            put(a, config_offset::capabilities, 1, edits.head, 0xff);
            for (const list_link& each : edits.links) put(a, each.at + 1u, 1, each.next, 0xff);
        }
        if constexpr (state_type::edits_extended)
            for (const list_link& each : state_.extended.links)
                put(a, each.at, 4, std::uint64_t{each.next} << 20, 0xfff0'0000);
        overlay_bars(a);
    }

    static constexpr void overlay_hidden(const read_access& a, const list_edits& edits) {
        for (const config_range& each : edits.hidden)
            each_common(a, each.offset, each.size, [](std::byte& b, std::size_t) { b = std::byte{0}; });
    }

    /// What sizing a BAR reads back: the address as it was written, in the bits that its size leaves.
    constexpr void overlay_bars(const read_access& a) const {
        for (std::size_t i = 0; i < state_.bars.size(); ++i) {
            const bar_statement& stated = bar_statements<Map>.data()[i];
            const shaped_bar& bar = state_.bars.data()[i];
            const std::uint64_t address = bar.written & ~(bar.visible - 1) & ~std::uint64_t{0xf};
            const std::uint64_t value = bar.visible == 0 ? 0 : address | low_bits(bar);
            put(a, bar_register(stated.number), bar.wide ? 8 : 4, value, ~std::uint64_t{0});
            if (stated.synthesised()) {
                const std::uint8_t bit = stated.what == bar_statement::kind::io ? 1 : 2;
                put(a, config_offset::command, 1, state_.command, bit);
            }
        }
    }
    /// An I/O BAR may be as small as 4 bytes: its address has bits beside the flags.
    [[nodiscard]] static constexpr std::uint64_t low_bits(const shaped_bar& bar) noexcept {
        if ((bar.flags & 1) == 0) return bar.flags;
        return (bar.written & ~(bar.visible - 1) & 0xc) | bar.flags;
    }

    /// What passed to the registers that the user's view depends on.
    constexpr void remember(const write_access& a) const {
        if constexpr (bar_statements<Map>.size() != 0) {
            each_common(a, config_offset::command, 1,
                        [this](std::byte b, std::size_t) { state_.command = std::to_integer<std::uint8_t>(b); });
            for (std::size_t i = 0; i < state_.bars.size(); ++i) {
                shaped_bar& bar = state_.bars.data()[i];
                each_common(a, bar_register(bar_statements<Map>.data()[i].number), bar.wide ? 8 : 4,
                            [&bar](std::byte b, std::size_t k) {
                                const std::uint64_t lane = std::uint64_t{0xff} << (8 * k);
                                bar.written = (bar.written & ~lane) | std::to_integer<std::uint64_t>(b) << (8 * k);
                            });
            }
        }
    }

    /// Tells the policy of observed registers that were written.
    constexpr result<void> tell(const write_access& a) const { return tell_from<0>(a); }
    template <std::size_t Index>
    constexpr result<void> tell_from(const write_access& a) const {
        if constexpr (Index < Map.entries.size()) {
            constexpr const config_entry& e = Map.entries[Index];
            if constexpr (e.what == shape::observe && e.size <= 8) {
                if (const std::uint16_t at = state_.where[Index]; at != state_type::absent) {
                    std::uint64_t value = 0;
                    std::uint64_t mask = 0;
                    each_common(a, at, e.size, [&](std::byte b, std::size_t i) {
                        value |= std::to_integer<std::uint64_t>(b) << (8 * i);
                        mask |= std::uint64_t{0xff} << (8 * i);
                    });
                    if (mask != 0) {
                        const result<void> told = host_.template written<Index>(value, mask);
                        if (!told) return told;
                    }
                }
            }
            return tell_from<Index + 1>(a);
        } else {
            return {};
        }
    }

    state_type& state_;
    Host host_; ///< no more than a pointer
};

} // namespace mediant::detail
