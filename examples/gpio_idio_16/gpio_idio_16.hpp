// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/mediant.hpp>

#include <cstdint>

namespace acme {
using namespace mediant;

/// An ACCES PCI-IDIO-16 card on a board that inverts its first eight outputs: guests are to see the levels of the pins.
/// Registers after the card's manual, as drivers/gpio/gpio-pci-idio-16.c names them.
struct gpio_idio_16 {
    static constexpr auto info = provider{"gpio_idio_16", {pci_id{0x494f, 0x0dc8}},
        {.description = "A PCI-IDIO-16 whose first eight outputs are inverted", .author = "Acme"}};

    static constexpr auto bar2 = region_map{bar{2}, 8,
        reg{"OUT0_7",     0, rw, {.hook = on::read | on::write, .bits = 8}}, // the one that is mediated
        reg{"IN0_7",      1, rw, {.bits = 8}},                               // a write clears interrupts
        reg{"IRQ_CTL",    2, rw, {.bits = 8}},                               // a read enables them, a write disables them
        reg{"FILTER_CTL", 3, rw, {.bits = 8}},
        reg{"OUT8_15",    4, rw, {.bits = 8}},
        reg{"IN8_15",     5, ro, {.bits = 8}},
        reg{"IRQ_STATUS", 6, ro, {.bits = 8}}};
    static constexpr auto regions = mediant::regions<bar2>{};

    result<std::uint8_t> read(at<bar2, "OUT0_7"> reg, auto& next) noexcept {
        const auto levels = next.read(reg);
        if (!levels) return levels;
        return static_cast<std::uint8_t>(~*levels);
    }
    result<void> write(at<bar2, "OUT0_7"> reg, std::uint8_t levels, auto& next) noexcept {
        return next.write(reg, static_cast<std::uint8_t>(~levels));
    }
};
static_assert(valid<gpio_idio_16>);

} // namespace acme
