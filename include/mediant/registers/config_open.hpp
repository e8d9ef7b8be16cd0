// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/requests.hpp>
#include <mediant/core/result.hpp>
#include <mediant/pci/capability_list.hpp>
#include <mediant/registers/config_state.hpp>

#include <cstddef>
#include <cstdint>

/// A config map meets a device: finds what it names, and declines a device that it does not fit. `Host` is
///   bool load(std::uint32_t offset, std::uint32_t& dword)   of the layer below
///   std::uint64_t region_size(region_index)                 likewise
///   void log(const char* literal)
namespace mediant::detail {

template <const auto& Map, class Host>
class config_opener {
    using shape = config_entry::shape;
    using state_type = config_state<Map>;

public:
    constexpr config_opener(state_type& state, const Host& host) noexcept : state_{state}, host_{host} {}

    /// error::no_device where the device is not as the map states; the log says why.
    constexpr result<void> open() {
        state_ = {};
        size_ = host_.region_size(region_index::config);
        if (size_ < config_offset::header_end) return declined("declined: the device has no config space");
        for (std::size_t i = 0; i < Map.entries.size(); ++i) {
            const config_entry& e = Map.entries.data()[i];
            state_.where.data()[i] = e.is_fixed() && e.size != 0 ? e.offset : state_type::absent;
            if (e.is_fixed() && std::uint64_t{e.offset} + e.size > size_)
                return declined("declined: the config map reaches past the device's config space");
        }
        if constexpr (looks_at_list<Map>(anchor::to::capability)) {
            if (const result<void> done = open_list<anchor::to::capability>(); !done) return done;
        }
        if constexpr (looks_at_list<Map>(anchor::to::extended_capability)) {
            if (size_ >= extended_config_bytes) {
                if (const result<void> done = open_list<anchor::to::extended_capability>(); !done) return done;
            }
        }
        if (entries_collide()) return declined("declined: statements of the config map meet on this device");
        if (const result<void> done = open_bars(); !done) return done;
        state_.reset();
        return {};
    }

private:
    constexpr result<void> declined(const char* why) const {
        host_.log(why);
        return error::no_device;
    }

    [[nodiscard]] constexpr std::uint32_t loaded(std::uint32_t offset) const {
        std::uint32_t dword = 0;
        return host_.load(offset, dword) ? dword : 0;
    }

    template <anchor::to List, class Visit>
    constexpr bool walk(const Visit& visit) const {
        const auto load = [this](std::uint32_t offset, std::uint32_t& dword) { return host_.load(offset, dword); };
        if constexpr (List == anchor::to::capability)
            return walk_capabilities(load, visit);
        else
            return walk_extended_capabilities(load, visit);
    }

    template <anchor::to List>
    [[nodiscard]] static constexpr bool is_hidden(std::uint16_t id) noexcept {
        for (const config_entry& e : Map.entries)
            if (e.what == shape::hide && e.in.where == List && e.in.id == id) return true;
        return false;
    }

    /// As far as a capability may go: to the next one behind it, or the end of its part of config space.
    template <anchor::to List>
    [[nodiscard]] constexpr std::uint32_t limit_of(std::uint32_t offset) const {
        std::uint32_t limit = List == anchor::to::capability ? conventional_config_bytes : extended_config_bytes;
        static_cast<void>(walk<List>([&](const listed_capability& each) {
            if (each.offset > offset && each.offset < limit) limit = each.offset;
        }));
        return limit;
    }

    template <anchor::to List>
    constexpr result<void> open_list() {
        // Before anything is placed, so that a list that is broken further on is never half edited.
        bool possible = true;
        const bool whole = walk<List>([&](const listed_capability& each) {
            if (is_hidden<List>(each.id)) return;
            for (std::size_t i = 0; i < Map.entries.size(); ++i) {
                const config_entry& e = Map.entries.data()[i];
                if (e.what == shape::add || e.what == shape::bar || !(e.in == anchor_of<List>(each.id))) continue;
                if (state_.where.data()[i] != state_type::absent || e.size == 0) continue;
                const std::uint32_t begin = std::uint32_t{each.offset} + e.offset;
                const std::uint32_t limit = each.size != 0 ? std::uint32_t{each.offset} + each.size
                                                           : limit_of<List>(each.offset);
                if (begin + e.size > limit)
                    possible = false;
                else
                    state_.where.data()[i] = static_cast<std::uint16_t>(begin);
            }
        });
        if (!whole) return declined("declined: the device's list of capabilities is broken");
        if (!possible) return declined("declined: a capability of the device is shorter than the config map has it");

        bool free = true;
        static_cast<void>(walk<List>([&](const listed_capability& each) {
            if (!is_hidden<List>(each.id) && meets<List>(each)) free = false;
        }));
        if (!free) return declined("declined: the config map covers what a capability of the device has there");
        if constexpr (edits_list<Map>(List)) {
            if (!relink<List>()) return declined("declined: the device has too many capabilities to be hidden");
        }
        return {};
    }

    template <anchor::to List>
    [[nodiscard]] static constexpr anchor anchor_of(std::uint16_t id) noexcept {
        anchor out;
        out.where = List;
        out.id = id;
        return out;
    }

    /// Whether an entry lies where a capability has its own: an added one anywhere in it, others in its header or in
    /// what the VFIO core answers for, or, of an entry that belongs to another capability, anywhere.
    template <anchor::to List>
    [[nodiscard]] constexpr bool meets(const listed_capability& each) const noexcept {
        const std::uint16_t header = List == anchor::to::capability ? 2 : 4;
        const config_range all{each.offset, each.size < header ? header : each.size};
        const config_range owned = List == anchor::to::capability ? owned_part(static_cast<std::uint8_t>(each.id))
                                                                  : config_range{};
        for (std::size_t i = 0; i < Map.entries.size(); ++i) {
            const config_entry& e = Map.entries.data()[i];
            if (state_.where.data()[i] == state_type::absent || e.what == shape::observe) continue;
            const config_range mine{state_.where.data()[i], e.size};
            const bool of_this = e.what != shape::add && e.in == anchor_of<List>(each.id);
            const bool of_another = e.in.where == List && !of_this;
            if (of_another && mine.meets(all)) return true;
            if (mine.meets({each.offset, header})) return true;
            if (owned.size != 0 && mine.meets({static_cast<std::uint16_t>(each.offset + owned.offset), owned.size}))
                return true;
        }
        return false;
    }

    template <anchor::to List>
    [[nodiscard]] constexpr list_edits& edits() noexcept {
        if constexpr (List == anchor::to::capability)
            return state_.capabilities;
        else
            return state_.extended;
    }

    /// Strings the capabilities that the user sees together: the device's in their order, then those that are added.
    template <anchor::to List>
    [[nodiscard]] constexpr bool relink() {
        constexpr bool extended = List == anchor::to::extended_capability;
        constexpr std::uint32_t open_end = ~0u; // of a pointer that must be overlaid whatever it is below
        list_edits& out = edits<List>();
        std::uint16_t last = 0;          // the capability that the next one is linked to; 0: the list's head
        std::uint32_t points = open_end; // where it points below
        bool room = true;
        const auto link = [&](std::uint16_t to, std::uint32_t on) {
            if (last == 0)
                out.head = to;
            else if (points != to)
                room = room && out.links.add({last, to});
            last = to;
            points = on;
        };
        const auto added_at = [](const config_entry& e) { return e.what == shape::add && e.in.where == List; };

        bool begun = false; // an extended list's head is at 0x100, whatever is there
        if constexpr (extended) {
            for (const config_entry& e : Map.entries)
                begun = begun || (added_at(e) && e.offset == conventional_config_bytes);
            if (begun) link(conventional_config_bytes, open_end);
        }
        static_cast<void>(walk<List>([&](const listed_capability& each) {
            const bool hidden = is_hidden<List>(each.id);
            if (hidden) {
                const std::uint32_t limit = limit_of<List>(each.offset);
                // Of a capability of unknown length the header is hidden, and what is known to belong to it.
                std::uint32_t end = std::uint32_t{each.offset} + (each.size != 0 ? each.size : 4u);
                if (end > limit) end = limit;
                room = room && out.hidden.add({each.offset, static_cast<std::uint16_t>(end - each.offset)});
                if (!extended || each.offset != conventional_config_bytes || begun) return;
            }
            if (each.offset == conventional_config_bytes && begun) return; // hidden, and replaced
            begun = true;
            link(each.offset, hidden ? open_end : each.next);
        }));
        if (extended && !begun) { // no list below: a null capability begins it
            room = room && out.hidden.add({conventional_config_bytes, 4});
            link(conventional_config_bytes, open_end);
        }
        for (const config_entry& e : Map.entries)
            if (added_at(e) && !(extended && e.offset == conventional_config_bytes)) link(e.offset, open_end);
        if (last != 0 && points != 0) room = room && out.links.add({last, 0});
        return room;
    }

    [[nodiscard]] constexpr bool entries_collide() const noexcept {
        for (std::size_t i = 0; i < Map.entries.size(); ++i) {
            for (std::size_t k = 0; k < i; ++k) {
                const config_entry& a = Map.entries.data()[i];
                const config_entry& b = Map.entries.data()[k];
                const std::uint16_t at = state_.where.data()[i];
                const std::uint16_t other = state_.where.data()[k];
                if (at == state_type::absent || other == state_type::absent || !contradict(a, b)) continue;
                if (config_range{at, a.size}.meets({other, b.size})) return true;
            }
        }
        return false;
    }

    constexpr result<void> open_bars() {
        state_.command = static_cast<std::uint8_t>(loaded(config_offset::command));
        for (std::size_t i = 0; i < bar_statements<Map>.size(); ++i) {
            const result<void> done = open_bar(bar_statements<Map>.data()[i], state_.bars.data()[i]);
            if (!done) return done;
        }
        return {};
    }

    [[nodiscard]] static constexpr bool is_wide(std::uint32_t value) noexcept { return (value & 7) == 4; }

    /// Whether a BAR's register holds the upper half of the address in the one before it.
    [[nodiscard]] constexpr bool is_upper_half(std::uint32_t number) const {
        for (std::uint32_t n = 0; n < number && number < 6; ++n) {
            if (!is_wide(loaded(bar_register(n)))) continue;
            if (++n == number) return true;
        }
        return false;
    }

    constexpr result<void> open_bar(const bar_statement& stated, shaped_bar& bar) const {
        using kind = bar_statement::kind;
        bar.below = host_.region_size(region_index{stated.number});
        const std::uint32_t value = loaded(bar_register(stated.number));
        if (is_upper_half(stated.number))
            return declined("declined: the config map has a BAR where the device has the upper half of one");
        if (stated.synthesised()) return open_synthesised(stated, bar);

        const bool io = stated.number < 6 && (value & 1) != 0;
        bar.wide = stated.number < 6 && is_wide(value);
        if (bar.wide && stated.number == 5) return declined("declined: the last BAR says that it has 64 bits");
        bar.flags = static_cast<std::uint8_t>(value & (io ? 0x3 : 0xf));
        bar.written = value;
        if (bar.wide) bar.written |= std::uint64_t{loaded(bar_register(stated.number + 1u))} << 32;
        if (stated.what == kind::hidden) return {};

        bar.visible = stated.what == kind::half ? bar.below / 2 : stated.size;
        if (bar.below == 0) return declined("declined: a BAR that the config map resizes is missing");
        const std::uint64_t least = io ? 4 : 16;
        const std::uint64_t most = io ? 256 : bar.wide ? std::uint64_t{1} << 63 : std::uint64_t{1} << 31;
        if (bar.visible < least || bar.visible > most || (bar.visible & (bar.visible - 1)) != 0)
            return declined("declined: a BAR cannot have the size that the config map gives it");
        return {};
    }

    constexpr result<void> open_synthesised(const bar_statement& stated, shaped_bar& bar) const {
        if (bar.below != 0 || (stated.wide && host_.region_size(region_index{stated.number + 1u}) != 0))
            return declined("declined: the device has a BAR where the config map adds one");
        bar.visible = stated.size;
        bar.wide = stated.wide;
        const bool io = stated.what == bar_statement::kind::io;
        bar.flags = static_cast<std::uint8_t>((io ? 0x1 : 0) | (stated.wide ? 0x4 : 0) |
                                              (stated.prefetchable ? 0x8 : 0));
        return {};
    }

    state_type& state_;
    const Host& host_;
    std::uint64_t size_ = 0;
};

} // namespace mediant::detail
