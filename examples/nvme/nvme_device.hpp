// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/device/memory_device.hpp>

#include <cstdint>

namespace acme {

/// What QEMU's NVMe controller says of itself, as memory, without a controller behind it: CAP and VS, and MSI-X in
/// BAR 0 behind the doorbells.
class nvme_device : public mediant::device::memory_device {
public:
    static constexpr mediant::device_id id{0x1b36, 0x0010, 0x1af4, 0x1100, 0x010802};
    static constexpr std::uint64_t cap = 0x0240'1820'0f01'07ff; ///< with cmb_size_mb
    static constexpr std::uint32_t version = 0x0001'0400;

    nvme_device()
        : memory_device{{.id = id,
                         .revision = 2,
                         .bar_sizes = {16 * 1024},
                         .wide_bars = 1u << 0,
                         .msi_vectors = 0,
                         .msix = {.vectors = 65, .offset = 0x40, .table_offset = 0x2000, .pending_offset = 0x3000}}} {}

    mediant::result<void> open() {
        bar_store(0, 0x00, 8, cap);
        bar_store(0, 0x08, 4, version);
        return memory_device::open();
    }
};

} // namespace acme
