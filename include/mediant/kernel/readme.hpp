// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/kernel/provider_facts.hpp>
#include <mediant/kernel/quoting.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace mediant::kernel {

/// "1234:11e8", "1234:11e8, subsystem 1af4:1100", "any device, class 020000/ffff00".
[[nodiscard]] inline std::string rule_text(const pci_id& rule) {
    const auto hex = [](std::uint32_t value, unsigned digits) {
        return std::string{text_builder<8>{}.hex(value, digits).view()};
    };
    const auto id = [&hex](std::uint32_t value) { return value == any_id ? std::string{"*"} : hex(value, 4); };
    std::string out = rule.vendor == any_id && rule.device == any_id ? "any device"
                                                                     : id(rule.vendor) + ':' + id(rule.device);
    if (rule.subvendor != any_id || rule.subdevice != any_id)
        out += ", subsystem " + id(rule.subvendor) + ':' + id(rule.subdevice);
    if (rule.class_mask == 0xff'ffff)
        out += ", class " + hex(rule.class_code, 6);
    else if (rule.class_mask != 0)
        out += ", class " + hex(rule.class_code, 6) + '/' + hex(rule.class_mask, 6);
    return out;
}

/// The README.md of a module tree: what this module serves, and then what holds for every module, which is the
/// README.md beside the C half with the module's name for NAME.
[[nodiscard]] inline std::string module_readme(std::string_view module, std::string_view version,
                                               std::span<const provider_facts> providers, std::string_view common) {
    const std::string name{module};
    std::string
        out = "<!-- SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause -->\n# " + name +
              "\n\n"
              "Written by mediant's shim generator from the vendor's headers in `include/`: changes belong there.\n\n"
              "| provider | devices | description |\n|---|---|---|\n";
    for (const provider_facts& provider : providers) {
        std::string rules;
        for (const pci_id& rule : provider.rules) rules += (rules.empty() ? "" : "<br>") + rule_text(rule);
        std::string about = one_line(provider.details.description);
        for (std::size_t at = 0; (at = about.find('|', at)) != about.npos; at += 2) about.insert(at, 1, '\\');
        out += "| `" + std::string{provider.name} + "` | " + rules + " | " + about + " |\n";
    }
    out += "\nWith DKMS, which builds it again for each new kernel:\n\n```sh\n"
           "sudo cp -r . /usr/src/" + name + '-' + std::string{version} + "\n"
           "sudo dkms install " + name + '/' + std::string{version} + "\n```\n\n";

    // The heading there becomes one below this file's.
    if (const std::size_t heading = common.find("\n# "); heading != common.npos)
        common.remove_prefix(heading + 1);
    if (common.starts_with("# ")) out += '#';
    const auto part_of_word = [&common](std::size_t i) {
        return i < common.size() && (common[i] == '_' || (common[i] >= 'A' && common[i] <= 'Z'));
    };
    for (std::size_t at = 0; at < common.size();) {
        const std::size_t hit = common.find("NAME", at);
        if (hit == common.npos) {
            out += common.substr(at);
            break;
        }
        out += common.substr(at, hit - at);
        out += part_of_word(hit + 4) || (hit > 0 && part_of_word(hit - 1)) ? std::string_view{"NAME"} : module;
        at = hit + 4;
    }
    return out;
}

} // namespace mediant::kernel
