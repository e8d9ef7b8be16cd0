// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/result.hpp>

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace mediant::detail {

/// Can take back what a client has mapped, and tell it that there is something to ask again. error::again of revoke(): it
/// was asked of the client, which has to answer; what was asked for is done when revoke() is called once more and
/// succeeds. Any other error: it cannot be taken back.
template <class Device>
concept revokes = requires(Device& device, region_index region, range where) {
    { device.revoke(region, where) } -> std::same_as<result<void>>;
    device.regions_changed();
};

/// Which dynamic ranges of a policy's maps are trapped now, and of which mappings are being taken back meanwhile: two
/// bytes a map, which are read without a lock.
template <std::size_t Maps>
class dynamic_state {
public:
    constexpr dynamic_state() noexcept {
        for (std::uint8_t& each : trapped_) each = 0xff;
        for (std::uint8_t& each : closing_) each = 0;
        for (std::uint8_t& each : wanted_) each = 0xff;
    }

    /// Whose accesses trap.
    [[nodiscard]] constexpr std::uint8_t at(std::size_t map) const noexcept { return load(trapped_[map]); }
    /// What may not be mapped: those, and what is to trap as soon as a user has given it back.
    [[nodiscard]] constexpr std::uint8_t kept(std::size_t map) const noexcept {
        // In the reverse of the order in which change() stores them, so that none is missed between the two.
        const std::uint8_t closing = load(closing_[map]);
        return static_cast<std::uint8_t>(closing | load(trapped_[map]));
    }
    [[nodiscard]] constexpr std::uint8_t closing(std::size_t map) const noexcept { return load(closing_[map]); }

    /// What a migration's stream says, until all of it is there.
    [[nodiscard]] constexpr std::uint8_t& wanted(std::size_t map) noexcept { return wanted_[map]; }
    [[nodiscard]] constexpr std::uint8_t wanted(std::size_t map) const noexcept { return wanted_[map]; }

    /// Switches one range. error::again: it traps as soon as the user has given its mappings back, and is asked to;
    /// until then accesses pass, and nothing new is mapped. error::busy where a mapping of it cannot be taken back,
    /// error::not_supported where the world has no way to do so; it is then as it was.
    template <class Device>
    constexpr result<void> change(Device& device, region_index region, std::size_t map, std::uint8_t bit, range where,
                                  bool trapped) {
        const bool closing = (this->closing(map) & bit) != 0;
        if (!closing && ((at(map) & bit) != 0) == trapped) return {};
        if constexpr (revokes<Device>) {
            if (!trapped) {
                put(closing_[map], bit, false);
                put(trapped_[map], bit, false);
                device.regions_changed();
                return {};
            }
            // First, so that no new mapping comes while the old ones are taken back.
            put(closing_[map], bit, true);
            const result<void> taken = device.revoke(region, where);
            if (taken) put(trapped_[map], bit, true);
            if (taken.error() != error::again) put(closing_[map], bit, false);
            if (!closing && (taken || taken.error() == error::again)) device.regions_changed();
            if (!taken && taken.error() != error::again) {
                if (closing) device.regions_changed(); // it may be mapped again
                return error::busy;
            }
            return taken;
        } else {
            return error::not_supported;
        }
    }

    /// Those of a map that wait for a user: what it has given back traps from now on.
    template <class Device, class Ranges>
    constexpr void settle(Device& device, region_index region, std::size_t map, const Ranges& ranges) {
        for (std::size_t i = 0; i < ranges.size(); ++i) {
            const auto bit = static_cast<std::uint8_t>(1u << i);
            if ((closing(map) & bit) != 0) static_cast<void>(change(device, region, map, bit, ranges[i], true));
        }
    }

    /// All of a map's, as far as none fails.
    template <class Device, class Ranges>
    constexpr result<void> change_as_wanted(Device& device, region_index region, std::size_t map, const Ranges& ranges) {
        for (std::size_t i = 0; i < ranges.size(); ++i) {
            const auto bit = static_cast<std::uint8_t>(1u << i);
            const result<void> done = change(device, region, map, bit, ranges[i], (wanted_[map] & bit) != 0);
            if (!done) return done;
        }
        return {};
    }

private:
    [[nodiscard]] static constexpr std::uint8_t load(const std::uint8_t& from) noexcept {
        if (std::is_constant_evaluated()) return from;
        return __atomic_load_n(&from, __ATOMIC_ACQUIRE);
    }
    /// One writer, and any readers.
    static constexpr void put(std::uint8_t& in, std::uint8_t bit, bool set) noexcept {
        const auto value = static_cast<std::uint8_t>(set ? in | bit : in & ~bit);
        if (std::is_constant_evaluated())
            in = value;
        else
            __atomic_store_n(&in, value, __ATOMIC_RELEASE);
    }

    std::uint8_t trapped_[Maps + 1];
    std::uint8_t closing_[Maps + 1];
    std::uint8_t wanted_[Maps + 1];
};

} // namespace mediant::detail
