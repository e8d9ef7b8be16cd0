// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/result.hpp>

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace mediant::detail {

/// Can take back what a client has mapped, and tell it that there is something to ask again.
template <class Device>
concept revokes = requires(Device& device, region_index region, range where) {
    { device.revoke(region, where) } -> std::same_as<result<void>>;
    device.regions_changed();
};

/// Which dynamic ranges of a policy's maps are trapped now: a byte a map, which is read without a lock.
template <std::size_t Maps>
class dynamic_state {
public:
    constexpr dynamic_state() noexcept {
        for (std::uint8_t& each : trapped_) each = 0xff;
        for (std::uint8_t& each : wanted_) each = 0xff;
    }

    [[nodiscard]] constexpr std::uint8_t at(std::size_t map) const noexcept {
        if (std::is_constant_evaluated()) return trapped_[map];
        return __atomic_load_n(&trapped_[map], __ATOMIC_ACQUIRE);
    }

    /// What a migration's stream says, until all of it is there.
    [[nodiscard]] constexpr std::uint8_t& wanted(std::size_t map) noexcept { return wanted_[map]; }

    /// Switches one range. error::busy where a mapping of it cannot be taken back, error::not_supported where the world
    /// has no way to do so; it is then as it was.
    template <class Device>
    constexpr result<void> change(Device& device, region_index region, std::size_t map, std::uint8_t bit, range where,
                                  bool trapped) {
        const std::uint8_t before = at(map);
        if (((before & bit) != 0) == trapped) return {};
        if constexpr (revokes<Device>) {
            // Trapped first, so that no new mapping comes while the old ones are taken back.
            set(map, static_cast<std::uint8_t>(before ^ bit));
            if (trapped && !device.revoke(region, where)) {
                set(map, before);
                return error::busy;
            }
            device.regions_changed();
            return {};
        } else {
            return error::not_supported;
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
    constexpr void set(std::size_t map, std::uint8_t trapped) noexcept {
        if (std::is_constant_evaluated())
            trapped_[map] = trapped;
        else
            __atomic_store_n(&trapped_[map], trapped, __ATOMIC_RELEASE);
    }

    std::uint8_t trapped_[Maps + 1];
    std::uint8_t wanted_[Maps + 1];
};

} // namespace mediant::detail
