// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "controller.hpp"

namespace acme {

namespace nvme_map {
/// Named, not trapped: a page that users map and ring without a call.
inline constexpr auto mapped_doorbells = map_part{
    repeat{"QUEUE", 65, 8, reg{"SQTDBL", 0x1000}, reg{"CQHDBL", 0x1004}}};
} // namespace nvme_map

/// QEMU's NVMe controller with a checked configuration; its doorbells are the user's.
struct nvme : nvme_controller<nvme_map::mapped_doorbells> {
    static constexpr auto info = provider{"nvme", {pci_id{0x1b36, 0x0010}},
        {.description = "An NVMe controller, its configuration checked", .author = "Acme"}};
};
static_assert(valid<nvme>);

} // namespace acme
