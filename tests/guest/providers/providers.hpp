// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/mediant.hpp>

/// Providers for the tests of demand loading: of other devices, and rivals of the edu example's.
namespace demand {
using namespace mediant;

/// A disk with a scratch register that a reset sets again.
struct disk {
    static constexpr auto info = provider{"disk", {pci_id{0x1b36, 0x0010}}, {.author = "Acme"}};
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB,
        reg{"SCRATCH", 0xf00, rw, {.backing = from::shadow, .value = 0x5c4a7c11}}};
    static constexpr auto regions = mediant::regions<bar0>{};
};

/// A network card with one register of its own.
struct nic {
    static constexpr auto info = provider{"nic", {pci_id{0x8086, 0x10d3}}, {.author = "Acme"}};
    static constexpr auto bar0 = region_map{bar{0}, 128_KiB,
        reg{"MARK", 0x1f000, ro, {.backing = from::constant, .value = 0x6e69'6331}}};
    static constexpr auto regions = mediant::regions<bar0>{};
};

/// A virtual function of QEMU's igb card: a mailbox that tells who is between, and a scratch register that a reset sets
/// again. The message memory at 0x800 passes.
struct vf {
    static constexpr auto info = provider{"vf", {pci_id{0x8086, 0x10ca}}, {.author = "Acme"}};
    static constexpr auto bar0 = region_map{bar{0}, 16_KiB,
        reg{"MAILBOX", 0x0c40, rw, {.hook = on::read}},
        reg{"SCRATCH", 0x3f00, rw, {.backing = from::shadow, .value = 0x5c4a7c11}}};
    static constexpr auto regions = mediant::regions<bar0>{};

    result<std::uint32_t> read(at<bar0, "MAILBOX"> reg, auto& next) noexcept {
        const auto mailbox = next.read(reg);
        if (!mailbox) return mailbox;
        return *mailbox | 0x4d00'0000;
    }
};

/// Says more about the card, but traps its MSI-X table, which is the VFIO core's: the device is declined.
struct tabled {
    static constexpr auto info = provider{"tabled", {pci_id{0x8086, 0x10d3, 0x8086, 0x0000}}, {.author = "Acme"}};
    static constexpr auto bar3 = region_map{bar{3}, 16_KiB, reg{"VECTOR", 0x10, rw, {.backing = from::shadow}}};
    static constexpr auto regions = mediant::regions<bar3>{};
};

/// Says most about an edu device, and declines it.
struct picky {
    static constexpr auto info =
        provider{"picky", {pci_id{0x1234, 0x11e8, 0x1af4, 0x1100, 0x00ff00, 0xffffff}}, {.author = "Acme"}};
    result<void> open(auto& next) noexcept {
        next.log("picky declines");
        return error::no_device;
    }
};

/// For an edu device of one subsystem.
struct branded {
    static constexpr auto info = provider{"branded", {pci_id{0x1234, 0x11e8, 0x1af4, 0x1100}}, {.author = "Acme"}};
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB,
        reg{"IDENT", 0x00, ro, {.backing = from::constant, .value = 0xb4a4'0ded}}};
    static constexpr auto regions = mediant::regions<bar0>{};
};

/// Declines every pci-testdev.
struct shy {
    static constexpr auto info = provider{"shy", {pci_id{0x1b36, 0x0005}}, {.author = "Acme"}};
    result<void> open(auto&) noexcept { return error::no_device; }
};

/// Has the very rule of the edu example's provider.
struct again {
    static constexpr auto info = provider{"again", {pci_id{0x1234, 0x11e8}}, {.author = "Acme"}};
};

/// QEMU's shared memory, with traps where what is known of its 64 MiB BAR gets coarse: in more of its parts of 64 KiB
/// than are told apart, across and within granules of 64 bytes, and over a part whose first and last bytes pass.
struct wide {
    static constexpr auto info = provider{"wide", {pci_id{0x1af4, 0x1110}}, {.author = "Acme"}};
    static constexpr auto bar2 = region_map{bar{2}, 64_MiB,
        reg{"FIRST", 0x20, ro, {.backing = from::constant, .value = 0xa1a2a3a4}},
        hide{"MOST", 0x10020, 0xffb0}, // of a part
        reg{"BEHIND", 0x1fff0, ro, {.backing = from::constant, .value = 0xb1b2b3b4}},
        reg{"BEFORE", 0x20004, ro, {.backing = from::constant, .value = 0xc1c2c3c4}},
        hide{"REST", 0x20040, 0xffb0},
        hide{"EDGE", 0x8003c, 8}, // of two granules
        reg{"MANY", 0x100010, ro, {.backing = from::constant, .value = 0xd1d2d3d4, .count = 300, .stride = 64_KiB}},
        hide{"PARTS", 0x2000000, 128_KiB},
        reg{"LAST", 0x3fffffc, ro, {.backing = from::constant, .value = 0xe1e2e3e4}}};
    static constexpr auto regions = mediant::regions<bar2>{};
};

} // namespace demand
