// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

/// PCI identities, and rules that match them as the PCI core does (pci_match_one_device in drivers/pci/pci.h).
namespace mediant {

/// Matches every value of a field; PCI_ANY_ID in the kernel.
inline constexpr std::uint32_t any_id = 0xffff'ffff;

/// What a PCI function says of itself in its config space.
struct device_id {
    std::uint32_t vendor = 0;
    std::uint32_t device = 0;
    std::uint32_t subvendor = 0;
    std::uint32_t subdevice = 0;
    std::uint32_t class_code = 0; ///< 24 bits: base class, subclass, programming interface

    friend constexpr bool operator==(const device_id&, const device_id&) = default;
};

/// A rule: the functions that a provider serves. What is left out matches anything.
struct pci_id {
    std::uint32_t vendor = any_id;
    std::uint32_t device = any_id;
    std::uint32_t subvendor = any_id;
    std::uint32_t subdevice = any_id;
    std::uint32_t class_code = 0; ///< compared under class_mask
    std::uint32_t class_mask = 0; ///< 24 bits; 0 matches any class

    [[nodiscard]] constexpr bool matches(const device_id& id) const noexcept {
        return field(vendor, id.vendor) && field(device, id.device) && field(subvendor, id.subvendor) &&
               field(subdevice, id.subdevice) && ((class_code ^ id.class_code) & class_mask) == 0;
    }

    /// How much the rule says, in bits: the rule with fewer wildcards ranks higher. At least 1.
    [[nodiscard]] constexpr unsigned rank() const noexcept {
        // The mask's bits are counted in few steps, as thousands of rules are ranked at compile time, and without a
        // library call, which would not link in a kernel.
        std::uint32_t bits = class_mask - (class_mask >> 1 & 0x5555'5555);
        bits = (bits & 0x3333'3333) + (bits >> 2 & 0x3333'3333);
        bits = ((bits + (bits >> 4)) & 0x0f0f'0f0f) * 0x0101'0101 >> 24;
        return 1 + bits + (vendor == any_id ? 0u : 16u) + (device == any_id ? 0u : 16u) +
               (subvendor == any_id ? 0u : 16u) + (subdevice == any_id ? 0u : 16u);
    }

    /// Whether some function matches both rules.
    [[nodiscard]] constexpr bool meets(const pci_id& other) const noexcept {
        return common(vendor, other.vendor) && common(device, other.device) && common(subvendor, other.subvendor) &&
               common(subdevice, other.subdevice) &&
               ((class_code ^ other.class_code) & class_mask & other.class_mask) == 0;
    }

    friend constexpr bool operator==(const pci_id&, const pci_id&) = default;

private:
    static constexpr bool field(std::uint32_t rule, std::uint32_t value) { return rule == any_id || rule == value; }
    static constexpr bool common(std::uint32_t a, std::uint32_t b) { return a == any_id || b == any_id || a == b; }
};

} // namespace mediant
