// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/bpf/host.hpp>
#include <mediant/bpf/object.hpp>
#include <mediant/core/text.hpp>
#include <mediant/kernel/bpf.h>
#include <mediant/pci/alias.hpp>
#include <mediant/pci/id.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// What loads a provider by itself, written from its rules: for systemd, udev and modprobe.
namespace mediant::bpf {

struct unit_file {
    std::string path; ///< below /etc, or what stands for it
    std::string text;
};

struct unit_options {
    std::string program = "/usr/bin/mediant-bpf";
    std::string objects = "/usr/lib/mediant/bpf"; ///< the folder of NAME.bpf.o
};

/// Whether it can stand in a unit, a rule and a command without quotes: an absolute path of letters, digits and
/// / . _ - +.
[[nodiscard]] inline bool is_plain_path(std::string_view path) noexcept {
    return path.starts_with('/') && std::ranges::all_of(path, [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      std::string_view{"/._-+"}.find(c) != std::string_view::npos;
           });
}

[[nodiscard]] inline pci_id rule_of(const mediant_rule& rule) noexcept {
    return {rule.vendor, rule.device, rule.subvendor, rule.subdevice, rule.class_code, rule.class_mask};
}

/// udev's match of a rule, with ", " behind each part; parts that sysfs cannot say are left out, so that it may match
/// more than the rule, never less.
[[nodiscard]] inline std::string udev_match(const pci_id& rule) {
    std::string out;
    const auto number = [&out](std::string_view attribute, std::uint32_t value) {
        if (value == any_id) return;
        const auto digits = text_builder<8>{}.hex(value, 4);
        out += "ATTR{" + std::string{attribute} + "}==\"0x" + std::string{digits.view()} + "\", ";
    };
    number("vendor", rule.vendor);
    number("device", rule.device);
    number("subsystem_vendor", rule.subvendor);
    number("subsystem_device", rule.subdevice);
    if (rule.class_mask == 0) return out;
    std::string digits;
    for (unsigned shift = 24; shift != 0;) {
        shift -= 4;
        digits += (rule.class_mask >> shift & 0xf) == 0xf
                      ? text_builder<8>{}.hex(rule.class_code >> shift & 0xf, 1).view()
                      : std::string_view{"?"};
    }
    return out + "ATTR{class}==\"0x" + digits + "\", ";
}

/// A text in which words are replaced; paths and names have no @.
[[nodiscard]] inline std::string filled(std::string text,
                                        std::initializer_list<std::pair<std::string_view, std::string_view>> words) {
    for (const auto& [word, value] : words)
        for (std::size_t at = 0; (at = text.find(word, at)) != text.npos; at += value.size())
            text.replace(at, word.size(), value);
    return text;
}

inline constexpr const char* service_text = R"(# SPDX-License-Identifier: BSD-3-Clause
# Attaches @objects@/NAME.bpf.o as mediant-bpf@NAME.service.
[Unit]
Description=BPF provider %i of mediated PCI devices
ConditionPathExists=@objects@/%i.bpf.o
Wants=modprobe@@host@.service
After=modprobe@@host@.service
RequiresMountsFor=/sys/fs/bpf
# At shutdown it goes after the guests that use it.
Before=libvirtd.service virtqemud.service libvirt-guests.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=@program@ attach --if-needed @objects@/%i.bpf.o
ExecReload=@program@ replace @objects@/%i.bpf.o
ExecStop=@program@ detach --if-attached %i
CapabilityBoundingSet=CAP_SYS_ADMIN CAP_BPF CAP_PERFMON CAP_SYSLOG
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateNetwork=yes

[Install]
WantedBy=multi-user.target
)";

inline constexpr const char* udev_text = R"(# SPDX-License-Identifier: BSD-3-Clause
# Attaches the BPF provider @provider@ when a device that it serves is given to @host@.
ACTION=="remove|unbind", GOTO="mediant_bpf_@provider@_end"
SUBSYSTEM!="pci", GOTO="mediant_bpf_@provider@_end"
DRIVER!="@host@", ATTR{driver_override}!="@host@", GOTO="mediant_bpf_@provider@_end"
@rules@
LABEL="mediant_bpf_@provider@_end"
)";

inline constexpr const char* modprobe_text = R"(# SPDX-License-Identifier: BSD-3-Clause
# Attaches the BPF provider @provider@ when @host@ asks for the provider of a device that is opened.
)";

/// The files for one provider; the first is the same for all. Throws where an option is no plain path.
[[nodiscard]] inline std::vector<unit_file> units(const description& what, const unit_options& options) {
    for (const std::string& path : {options.program, options.objects})
        if (!is_plain_path(path)) throw error{path + ": it must be an absolute path of letters, digits and / . _ - +"};
    std::string rules;
    std::string modprobe = modprobe_text;
    std::vector<std::string> aliases;
    for (const mediant_rule& one : what.rules) {
        const pci_id rule = rule_of(one);
        rules += (rules.empty() ? "" : "\n") + udev_match(rule) +
                 R"(TAG+="systemd", ENV{SYSTEMD_WANTS}+="mediant-bpf@@provider@.service")";
        if (rule.vendor == any_id || rule.device == any_id) continue;
        const std::string alias{mediate_alias(rule).view()};
        if (std::ranges::find(aliases, alias) != aliases.end()) continue;
        aliases.push_back(alias);
        modprobe += "install " + alias + ' ' + options.program + " attach --if-needed " + options.objects + '/' +
                    what.name + ".bpf.o\n";
    }
    if (aliases.empty()) modprobe += "# No rule of it names a vendor and a device, so that it is not asked for.\n";
    return {{"systemd/system/mediant-bpf@.service",
             filled(service_text,
                    {{"@host@", host_module}, {"@program@", options.program}, {"@objects@", options.objects}})},
            {"udev/rules.d/90-mediant-bpf-" + what.name + ".rules",
             filled(udev_text, {{"@rules@", rules}, {"@provider@", what.name}, {"@host@", host_module}})},
            {"modprobe.d/mediant-bpf-" + what.name + ".conf",
             filled(modprobe, {{"@provider@", what.name}, {"@host@", host_module}})}};
}

} // namespace mediant::bpf
