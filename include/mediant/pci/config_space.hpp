// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

/// Config space as the PCI Local Bus Specification 3.0 and the PCI Express Base Specification lay it out; names and
/// numbers as in linux/pci_regs.h.
namespace mediant {

inline constexpr std::uint32_t conventional_config_bytes = 256;
inline constexpr std::uint32_t extended_config_bytes = 4096;

/// Where a type 0 header has its registers.
namespace config_offset {
inline constexpr std::uint16_t vendor = 0x00;
inline constexpr std::uint16_t device = 0x02;
inline constexpr std::uint16_t command = 0x04;
inline constexpr std::uint16_t status = 0x06;
inline constexpr std::uint16_t revision = 0x08;
inline constexpr std::uint16_t class_code = 0x09; ///< 3 bytes
inline constexpr std::uint16_t header_type = 0x0e;
inline constexpr std::uint16_t first_bar = 0x10;
inline constexpr std::uint16_t subvendor = 0x2c;
inline constexpr std::uint16_t subdevice = 0x2e;
inline constexpr std::uint16_t rom = 0x30;
inline constexpr std::uint16_t capabilities = 0x34; ///< 1 byte: where the list begins
inline constexpr std::uint16_t interrupt_line = 0x3c;
inline constexpr std::uint16_t interrupt_pin = 0x3d;
inline constexpr std::uint16_t header_end = 0x40;
} // namespace config_offset

/// Capabilities in the first 256 bytes (PCI_CAP_ID_*).
enum class cap : std::uint8_t {
    pm = 0x01,
    agp = 0x02,
    vpd = 0x03,
    slot_id = 0x04,
    msi = 0x05,
    hot_swap = 0x06,
    pcix = 0x07,
    hypertransport = 0x08,
    vendor = 0x09,
    debug_port = 0x0a,
    pcie = 0x10,
    msix = 0x11,
    sata = 0x12,
    advanced_features = 0x13,
    enhanced_allocation = 0x14,
};

/// Capabilities beyond them (PCI_EXT_CAP_ID_*).
enum class extended_cap : std::uint16_t {
    aer = 0x0001,
    vc = 0x0002,
    serial_number = 0x0003,
    power_budgeting = 0x0004,
    vendor = 0x000b,
    acs = 0x000d,
    ari = 0x000e,
    ats = 0x000f,
    sriov = 0x0010,
    pri = 0x0013,
    resizable_bar = 0x0015,
    tph = 0x0017,
    ltr = 0x0018,
    secondary_pcie = 0x0019,
    pasid = 0x001b,
    dpc = 0x001d,
    l1_substates = 0x001e,
    ptm = 0x001f,
    dvsec = 0x0023,
    data_link_feature = 0x0025,
    physical_16gt = 0x0026,
    lane_margining = 0x0027,
};

/// A stretch of config space, in bytes.
struct config_range {
    std::uint16_t offset = 0;
    std::uint16_t size = 0;

    [[nodiscard]] constexpr std::uint32_t end() const noexcept { return std::uint32_t{offset} + size; }
    [[nodiscard]] constexpr bool contains(std::uint32_t at) const noexcept { return at >= offset && at < end(); }
    [[nodiscard]] constexpr bool meets(config_range other) const noexcept {
        return offset < other.end() && other.offset < end();
    }
    friend constexpr bool operator==(config_range, config_range) = default;
};

/// Bytes of a capability, given its first dword; 0 where its ID does not tell.
[[nodiscard]] constexpr std::uint16_t capability_bytes(std::uint8_t id, std::uint32_t first) noexcept {
    const std::uint32_t flags = first >> 16;
    switch (cap{id}) {
    case cap::pm: return 8;
    case cap::agp: return 12;
    case cap::vpd: return 8;
    case cap::slot_id:
    case cap::hot_swap: return 4;
    case cap::msi: // addresses of 64 bits, masks of vectors
        return static_cast<std::uint16_t>(10 + ((flags & 0x80) != 0 ? 4 : 0) + ((flags & 0x100) != 0 ? 10 : 0));
    case cap::pcix: return (flags & 0x3000) != 0 ? 24 : 8;
    case cap::vendor: return (flags & 0xff) < 3 ? std::uint16_t{4} : static_cast<std::uint16_t>(flags & 0xff);
    case cap::pcie: return (flags & 0xf) < 2 ? 0x14 : 0x3c;
    case cap::msix: return 12;
    case cap::advanced_features: return 6;
    default: return 0;
    }
}

/// Bytes of an extended capability, given its first two dwords; 0 where its ID does not tell.
[[nodiscard]] constexpr std::uint16_t extended_capability_bytes(std::uint16_t id, std::uint32_t second) noexcept {
    switch (extended_cap{id}) {
    case extended_cap::aer: return 0x48;
    case extended_cap::serial_number: return 12;
    case extended_cap::power_budgeting: return 16;
    case extended_cap::vendor:
    case extended_cap::dvsec: {
        const std::uint32_t size = second >> 20;
        return static_cast<std::uint16_t>(size < 8 ? 8 : size);
    }
    case extended_cap::acs:
    case extended_cap::ari:
    case extended_cap::ats:
    case extended_cap::ltr:
    case extended_cap::pasid: return 8;
    case extended_cap::sriov: return 0x40;
    case extended_cap::pri:
    case extended_cap::l1_substates: return 16;
    case extended_cap::ptm:
    case extended_cap::data_link_feature: return 12;
    default: return 0;
    }
}

/// The part of a capability, from its own beginning, that the VFIO core answers for: it virtualises these registers
/// (drivers/vfio/pci/vfio_pci_config.c), so that nothing else may. Without the ID and the pointer to the next.
[[nodiscard]] constexpr config_range owned_part(std::uint8_t id) noexcept {
    switch (cap{id}) {
    case cap::pm: return {4, 2};                // power state
    case cap::vpd: return {2, 6};               // address and data work together
    case cap::msi: return {2, 22};              // all of it
    case cap::msix: return {2, 10};             // all of it
    case cap::pcie: return {8, 2};              // device control, with function-level reset
    case cap::advanced_features: return {4, 1}; // function-level reset
    default: return {};
    }
}

} // namespace mediant
