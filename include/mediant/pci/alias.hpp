// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/text.hpp>
#include <mediant/pci/id.hpp>

/// The two spellings of a module alias.
namespace mediant {

/// Longest alias of either kind, in characters.
inline constexpr std::size_t alias_capacity = 96;
using alias_text = text_builder<alias_capacity>;

/// What the host requests for the device that is opened: "vfio-pci-mediate-1234-11e8". Only for a rule that
/// names vendor and device.
[[nodiscard]] constexpr alias_text mediate_alias(const pci_id& rule) noexcept {
    return alias_text{}.add("vfio-pci-mediate-").hex(rule.vendor, 4).add("-").hex(rule.device, 4);
}

/// What a variant's ID table gives to modinfo, for override-only matching:
/// "vfio_pci:v00001234d000011E8sv*sd*bc*sc*i*" (do_pci_entry in scripts/mod/file2alias.c). A rule whose class mask
/// has a byte other than 00 and ff gets no alias there, and a warning.
[[nodiscard]] constexpr alias_text override_alias(const pci_id& rule) noexcept {
    alias_text out;
    const auto field = [&out](std::string_view name, bool given, std::uint32_t value, unsigned digits) {
        out.add(name);
        if (given)
            out.hex(value, digits, alias_text::letters::upper);
        else
            out.add("*");
    };
    const auto byte_of_class = [&](std::string_view name, unsigned shift) {
        field(name, ((rule.class_mask >> shift) & 0xff) == 0xff, (rule.class_code >> shift) & 0xff, 2);
    };
    out.add("vfio_pci:");
    field("v", rule.vendor != any_id, rule.vendor, 8);
    field("d", rule.device != any_id, rule.device, 8);
    field("sv", rule.subvendor != any_id, rule.subvendor, 8);
    field("sd", rule.subdevice != any_id, rule.subdevice, 8);
    byte_of_class("bc", 16);
    byte_of_class("sc", 8);
    byte_of_class("i", 0);
    if (out.view().back() != '*') out.add("*");
    return out;
}

} // namespace mediant
