// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/vfio_user/wire.hpp>

#include <linux/vfio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace mediant::vfio_user {

/// Of one region that are believed: who looks at them all is not to be kept long.
inline constexpr std::uint32_t most_areas = 16384;

/// Collects the areas of a sparse capability, if there is one in the list at `at`; false where the list is broken,
/// or an area lies beyond the region's `size`.
[[nodiscard]] inline bool read_areas(std::span<const std::byte> info, std::size_t at, std::uint64_t size,
                                     std::vector<range>& areas) {
    for (int links = 0; at != 0; ++links) {
        if (links == 16 || !fits(at, sizeof(vfio_info_cap_header), info.size())) return false;
        const auto cap = wire::load<vfio_info_cap_header>(info.subspan(at));
        if (cap.id == VFIO_REGION_INFO_CAP_SPARSE_MMAP) {
            if (!fits(at, sizeof(wire::sparse_mmap), info.size())) return false;
            const auto sparse = wire::load<wire::sparse_mmap>(info.subspan(at));
            auto list = info.subspan(at + sizeof sparse);
            if (list.size() / sizeof(wire::sparse_area) < sparse.areas || sparse.areas > most_areas) return false;
            for (std::uint32_t i = 0; i < sparse.areas; ++i, list = list.subspan(sizeof(wire::sparse_area))) {
                const auto area = wire::load<wire::sparse_area>(list);
                if (!fits(area.offset, area.size, size)) return false;
                areas.push_back({area.offset, area.size});
            }
            return true;
        }
        at = cap.next;
    }
    return true;
}

} // namespace mediant::vfio_user
