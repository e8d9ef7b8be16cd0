// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/lower.hpp>
#include <mediant/core/result.hpp>
#include <mediant/pci/id.hpp>

#include <array>
#include <cstdint>
#include <utility>

namespace mediant::device {

/// What an open device's config space says of it (PCI Local Bus Specification 3.0, 6.1). A bridge has no subsystem here.
template <lower Lower>
[[nodiscard]] result<device_id> identify(Lower& what) {
    std::array<std::uint32_t, 4> dwords{};
    for (const auto& [offset, to] : {std::pair{0x00u, &dwords[0]}, {0x08u, &dwords[1]}, {0x0cu, &dwords[2]},
                                     {0x2cu, &dwords[3]}}) {
        const auto value = what.load(region_index::config, offset, 4);
        if (!value) return value.error();
        *to = static_cast<std::uint32_t>(*value);
    }
    const bool function = (dwords[2] >> 16 & 0x7f) == 0; // header type 0
    const std::uint32_t subsystem = function ? dwords[3] : 0;
    return device_id{dwords[0] & 0xffff, dwords[0] >> 16, subsystem & 0xffff, subsystem >> 16, dwords[1] >> 8};
}

} // namespace mediant::device
