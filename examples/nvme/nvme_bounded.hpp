// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "controller.hpp"

#include <cstddef>
#include <cstdint>

namespace acme {

namespace nvme_map {
/// Behind the doorbells the page is the vendor's (3.1): how many were rung, and how many of them in vain.
/// Of what is rung several times at once the last value is what counts: a guest may ring by KVM alone.
inline constexpr auto trapped_doorbells = map_part{
    repeat{"QUEUE", 65, 8, reg{"SQTDBL", 0x1000, wo, whole({.hook = on::write, .doorbell = doorbell::valued})},
                           reg{"CQHDBL", 0x1004, wo, whole({.hook = on::write, .doorbell = doorbell::valued})}},
    reserved_bytes("RESERVED_1208", 0x1208, 0x1f00),
    reg{"RUNG",    0x1f00, ro, whole({.backing = from::shadow})},
    reg{"DROPPED", 0x1f04, ro, whole({.backing = from::shadow})},
    reserved_bytes("RESERVED_1F08", 0x1f08, 0x2000)};
} // namespace nvme_map

/// The same as nvme, and no queue gets further than its entries: a doorbell beyond them, or of a controller that is
/// not enabled, is dropped and counted.
struct nvme_bounded : nvme_controller<nvme_map::trapped_doorbells> {
    /// Says more than nvme's rule, and is asked first where a registry has both.
    static constexpr auto info = provider{"nvme_bounded", {pci_id{0x1b36, 0x0010, 0x1af4, 0x1100}},
        {.description = "An NVMe controller, its configuration and doorbells checked", .author = "Acme"}};

    /// Declines a controller whose doorbells lie apart, which the map does not say.
    result<void> open(auto& next) noexcept {
        const result<void> opened = nvme_controller::open(next);
        if (opened && doorbell_stride() != 4) return error::no_device;
        return opened;
    }

    using nvme_controller::write;
    result<void> write(at<bar0, "QUEUE.SQTDBL"> reg, std::size_t queue, std::uint32_t tail, auto& next) noexcept {
        return ring(reg, queue, tail, submission_entries(queue), next);
    }
    result<void> write(at<bar0, "QUEUE.CQHDBL"> reg, std::size_t queue, std::uint32_t head, auto& next) noexcept {
        return ring(reg, queue, head, completion_entries(queue), next);
    }

private:
    template <class Doorbell>
    result<void> ring(Doorbell reg, std::size_t queue, std::uint32_t place, std::uint32_t entries, auto& next) {
        next.assign(at<bar0, "RUNG">{}, next.held(at<bar0, "RUNG">{}) + 1);
        if (enabled(next) && place < entries) return next.write(reg, queue, place);
        next.assign(at<bar0, "DROPPED">{}, next.held(at<bar0, "DROPPED">{}) + 1);
        return {};
    }
};
static_assert(valid<nvme_bounded>);

} // namespace acme
