// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/requests.hpp>
#include <mediant/vfio_user/client_memory.hpp>
#include <mediant/vfio_user/servable.hpp>
#include <mediant/vfio_user/wire.hpp>

#include <linux/vfio.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace mediant::vfio_user {

/// The regions of an open device, as they were at open: which accesses are good, and what a client is told. Which parts
/// it may map is asked each time.
template <servable Device>
class region_table {
public:
    /// Asks the device for its first `count` regions. One that it knows nothing of has no bytes.
    void load(Device& device, std::uint32_t count) {
        shapes_.assign(count, {});
        for (std::uint32_t i = 0; i < count; ++i) {
            if (const auto each = device.ioctl(get_region_info{region_index{i}})) shapes_[i] = *each;
        }
    }

    [[nodiscard]] std::size_t size() const noexcept { return shapes_.size(); }

    /// Whether an access lies in a region that allows it, and has at most `most` bytes.
    [[nodiscard]] bool valid(const wire::region_access& what, std::uint32_t most, region_flags needs) const noexcept {
        return what.count <= most && what.region < shapes_.size() &&
               fits(what.offset, what.count, shapes_[what.region].size) && has(shapes_[what.region].flags, needs);
    }

    /// What DEVICE_GET_REGION_INFO answers.
    struct description {
        wire::region_info info;
        std::uint32_t areas = 0; ///< in a capability; 0: it has none, all can be mapped or nothing
        int fd = -1;             ///< goes with the reply; the device's
    };

    /// One region, for a client that takes descriptors or not. Where its areas do not fit `room` bytes it cannot be
    /// mapped.
    [[nodiscard]] description describe(Device& device, std::uint32_t index, bool takes_fds, std::size_t room) {
        auto& shape = shapes_[index];
        if constexpr (rereads<Device>) {
            if (takes_fds && !device.reread(region_index{index})) takes_fds = false;
            if (const auto now = device.ioctl(get_region_info{region_index{index}})) shape.flags = now->flags;
        }
        description found{
            {sizeof(wire::region_info), static_cast<std::uint32_t>(shape.flags), index, 0, shape.size, 0}};
        if (!has(shape.flags, region_flags::mmap)) return found;
        if constexpr (has_memory_fd<Device>) {
            if (takes_fds) found.fd = device.memory_fd(region_index{index});
            if constexpr (requires { device.memory_offset(region_index{index}); })
                found.info.offset = device.memory_offset(region_index{index});
        }
        bool whole = false;
        if (found.fd >= 0) {
            for (auto area = next_area(device, index, 0); !area.empty(); area = next_area(device, index, area.end())) {
                whole = area == range{0, shape.size};
                ++found.areas;
            }
        }
        if (found.areas == 0 || (!whole && size_of(found.areas) > room)) {
            found.info.flags &= ~static_cast<std::uint32_t>(VFIO_REGION_INFO_FLAG_MMAP);
            found.areas = 0;
            found.fd = -1;
            found.info.offset = 0;
        } else if (whole) {
            found.areas = 0;
        } else {
            found.info.flags |= static_cast<std::uint32_t>(VFIO_REGION_INFO_FLAG_CAPS);
            found.info.argsz = static_cast<std::uint32_t>(size_of(found.areas));
        }
        return found;
    }

    /// Writes it with its areas, info.argsz bytes, and says how many those are.
    std::size_t write(Device& device, const description& what, std::byte* to) const {
        auto info = what.info;
        if (what.areas != 0) info.cap_offset = sizeof info;
        to = wire::store(to, info);
        if (what.areas == 0) return info.argsz;
        to = wire::store(to, wire::sparse_mmap{VFIO_REGION_INFO_CAP_SPARSE_MMAP, 1, 0, what.areas, 0});
        range area{};
        for (std::uint32_t i = 0; i < what.areas; ++i) {
            area = next_area(device, info.index, area.end());
            to = wire::store(to, wire::sparse_area{area.offset, area.size});
        }
        return info.argsz;
    }

private:
    [[nodiscard]] static constexpr std::size_t size_of(std::size_t areas) noexcept {
        return sizeof(wire::region_info) + sizeof(wire::sparse_mmap) + areas * sizeof(wire::sparse_area);
    }

    /// The first mappable area at or after `from`, within the region.
    [[nodiscard]] range next_area(const Device& device, std::uint32_t index, std::uint64_t from) const {
        const std::uint64_t size = shapes_[index].size;
        if (from >= size) return {};
        const range found = device.next_area(region_index{index}, client_memory::page, from);
        return found.empty() || found.offset < from || !fits(found.offset, found.size, size) ? range{} : found;
    }

    std::vector<get_region_info::answer> shapes_;
};

} // namespace mediant::vfio_user
