// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

/// ACCES' PCI-IDIO-16, sixteen isolated lines out and sixteen in; registers as drivers/gpio/gpio-pci-idio-16.c in Linux
/// has them. Line 7 out is the host's: to the guest it is always on, and it cannot switch it. All else is the device's,
/// wherever that is: libvfio-user has a sample of it.
struct gpio_idio_16 {
    static constexpr auto info = provider{"gpio_idio_16", {pci_id{0x494f, 0x0dc8}},
        {.description = "PCI-IDIO-16 with one line kept for the host", .author = "Acme"}};

    static constexpr auto bar2 = region_map{bar{2}, 256,
        reg{"OUT0_7",  0, rw, {.hook = on::read | on::write, .bits = 8}},
        reg{"IN0_7",   1, rw, {.bits = 8}},                     // named, and passes; a write clears an interrupt
        reg{"OUT8_15", 4, rw, {.bits = 8}},
        reg{"IN8_15",  5, rw, {.bits = 8}}};
    static constexpr auto regions = mediant::regions<bar2>{};
    static constexpr std::uint8_t kept = 0x80;

    result<std::uint8_t> read(at<bar2, "OUT0_7"> reg, auto& next) noexcept {
        const auto lines = next.read(reg);
        if (!lines) return lines;
        return static_cast<std::uint8_t>(*lines | kept);
    }
    result<void> write(at<bar2, "OUT0_7"> reg, std::uint8_t lines, auto& next) noexcept {
        return next.write(reg, static_cast<std::uint8_t>(lines | kept));
    }
};
static_assert(valid<gpio_idio_16>);

} // namespace acme
