// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/device/memory_device.hpp>

#include <cstdint>

namespace acme {

/// The function that vf_half_bar is for, as memory: a 64-bit BAR 2 whose upper half begins with the state's format.
class vf_device : public mediant::device::memory_device {
public:
    static constexpr mediant::device_id id{0x1234, 0x11f1, 0x1234, 0x0001, 0x028000};

    vf_device() : memory_device{{.id = id, .bar_sizes = {0, 0, 64 * 1024, 0, 0, 0}, .wide_bars = 1u << 2}} {}

    mediant::result<void> open() {
        bar_store(2, 0x0000, 4, 4);
        bar_store(2, 0x8000, 4, 1);
        return memory_device::open();
    }
};

} // namespace acme
