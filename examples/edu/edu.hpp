// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

/// QEMU's edu device, mediated: guests compute and poll on the hardware, but never start its DMA.
struct edu {
    static constexpr auto info = provider{"edu", {pci_id{0x1234, 0x11e8}},
        {.description = "QEMU's edu device, mediated", .author = "Acme"}};

    static constexpr auto bar0 = region_map{bar{0}, 1_MiB,
        reg{"IDENT",    0x00, ro, {.hook = on::read}},                           // marked as mediated
        reg{"LIVE",     0x04},                                                   // named, not trapped
        reg{"STATUS",   0x20, rw, {.hook = on::write}},                          // no interrupt when done
        reg{"EVENTS",   0x28, w1c, {.backing = from::shadow}},                   // exists only here
        reg{"READS",    0x2c, ro, {.backing = from::shadow}},                    // how often IDENT was read
        reg{"VERSION",  0x30, ro, {.backing = from::constant, .value = 0x0100}}, // of this provider
        reg{"DOORBELL", 0x34, wo, {.backing = from::shadow, .hook = on::write}}, // raises EVENTS
        block{"DMA",    0x80, 0x20, {.backing = from::shadow}},                  // virtual: never reaches the device
        hide{"BUFFER",  0x40000, 4_KiB}};                                        // reads as ones, writes are swallowed
    static constexpr auto regions = mediant::regions<bar0>{};

    /// Declines what is not an edu device.
    result<void> open(auto& next) noexcept {
        const auto ident = next.read(at<bar0, "IDENT">{});
        if (!ident) return ident.error();
        if ((*ident & 0xffff) != 0x00ed) return error::no_device;
        return {};
    }

    result<std::uint32_t> read(at<bar0, "IDENT"> reg, auto& next) noexcept {
        const auto ident = next.read(reg);
        if (!ident) return ident;
        next.assign(at<bar0, "READS">{}, ++reads);
        return *ident | 0x00ac'0000;
    }

    result<void> write(at<bar0, "STATUS"> reg, std::uint32_t value, auto& next) noexcept {
        return next.write(reg, value & ~0x80u);
    }

    /// Takes writes of any width; lanes that were not written are 0.
    result<void> write(at<bar0, "DOORBELL">, lanes<std::uint32_t> rung, auto& next) noexcept {
        next.assign(at<bar0, "EVENTS">{}, *next.read(at<bar0, "EVENTS">{}) | rung.value);
        return {};
    }

    void reset() noexcept { reads = 0; }

    /// What a migration takes along of this policy.
    static constexpr auto migration() { return saved_state{1, saved{"reads", &edu::reads}, saved_registers<bar0>{}}; }

private:
    std::uint32_t reads = 0;
};
static_assert(valid<edu>);

} // namespace acme
