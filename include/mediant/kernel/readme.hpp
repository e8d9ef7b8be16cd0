// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/kernel/provider_facts.hpp>
#include <mediant/kernel/quoting.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>

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

/// What the README.md of a tree is made of; `module` is the module's name, or the object's.
struct readme_parts {
    std::string_view module;
    std::string_view driver; ///< what a device is bound to
    std::string_view version;
    std::string_view provider{}; ///< of a tree that has one alone
    std::string_view text;                                           ///< of the kind of module, with marks
    std::map<std::string_view, std::string> insertions{};            ///< for a line "@word@"
};

/// The README.md of a module tree: what this module serves, and then what holds for every module of its kind, with
/// the module's own name for NAME, and so for DRIVER, VERSION and PROVIDER.
[[nodiscard]] inline std::string module_readme(const readme_parts& parts, std::span<const provider_facts> providers) {
    std::string
        out = "<!-- SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause -->\n# " + std::string{parts.module} +
              "\n\nWritten by mediant's shim generator";
    out += providers.empty() ? ".\n"
                             : " from the vendor's headers in `include/`: changes belong there.\n\n"
                               "| provider | devices | description |\n|---|---|---|\n";
    for (const provider_facts& provider : providers) {
        std::string rules;
        for (const pci_id& rule : provider.rules) rules += (rules.empty() ? "" : "<br>") + rule_text(rule);
        std::string about = one_line(provider.details.description);
        for (std::size_t at = 0; (at = about.find('|', at)) != about.npos; at += 2) about.insert(at, 1, '\\');
        out += "| `" + std::string{provider.name} + "` | " + rules + " | " + about + " |\n";
    }
    out += '\n';

    std::string common{parts.text};
    for (const auto& [mark, text] : parts.insertions) {
        const std::string line = '\n' + std::string{mark} + '\n';
        if (const std::size_t at = common.find(line); at != common.npos) common.replace(at, line.size(), '\n' + text);
    }
    // The heading there becomes one below this file's.
    if (const std::size_t heading = common.find("\n# "); heading != common.npos) common.erase(0, heading + 1);
    if (common.starts_with("# ")) out += '#';
    const auto part_of_word = [&common](std::size_t i) {
        return i < common.size() && (common[i] == '_' || (common[i] >= 'A' && common[i] <= 'Z'));
    };
    const std::pair<std::string_view, std::string_view> names[]{
        {"NAME", parts.module}, {"DRIVER", parts.driver}, {"VERSION", parts.version}, {"PROVIDER", parts.provider}};
    for (std::size_t at = 0; at < common.size();) {
        const auto* const word = std::find_if(std::begin(names), std::end(names), [&](const auto& name) {
            return std::string_view{common}.substr(at).starts_with(name.first) &&
                   !part_of_word(at + name.first.size()) && (at == 0 || !part_of_word(at - 1));
        });
        if (word == std::end(names)) {
            out += common[at++];
        } else {
            out += word->second;
            at += word->first.size();
        }
    }
    return out;
}

} // namespace mediant::kernel
