// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/text.hpp>
#include <mediant/kernel/provider_facts.hpp>
#include <mediant/kernel/quoting.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// What the shim generator writes of a BPF provider: its policy's functions in C++, and its numbers for C.
namespace mediant::kernel {

namespace detail {
[[nodiscard]] inline std::string hex_number(std::uint64_t value, unsigned digits, std::string_view suffix = {}) {
    return "0x" + std::string{text_builder<16>{}.hex(value, digits).view()} + std::string{suffix};
}
/// "0x1000": as many digits as it has.
[[nodiscard]] inline std::string short_hex(std::uint64_t value) {
    unsigned digits = 1;
    while (digits < 16 && value >> 4 * digits != 0) ++digits;
    return hex_number(value, digits);
}
} // namespace detail

/// ops.h: what struct mediant_bpf_ops says beside the programs, as macros for C and C++.
[[nodiscard]] inline std::string bpf_ops_header(const provider_facts& provider) {
    using detail::hex_number, detail::short_hex;
    const bpf_facts& facts = provider.bpf;
    std::string out = "/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */\n"
                      "/* What the object says of itself; policy.cpp compares it with the headers. */\n";
    const auto define = [&out](const std::string& what, const std::string& text) {
        out += "#define MEDIANT_OPS_" + what + ' ' + text + '\n';
    };
    define("NAME", c_string(provider.name));
    define("LICENSE", c_string(provider.details.license));
    define("STATE_SIZE", std::to_string(facts.state_size) + 'u');
    define("IDENTITY", hex_number(facts.identity, 16, "ull"));
    define("MEDIATES", std::to_string(facts.mediates) + 'u');
    define("RULE_COUNT", std::to_string(provider.rules.size()) + 'u');
    define("RANGE_COUNT", std::to_string(facts.ranges.size()) + 'u');
    out += "\n/* vendor, device, subsystem vendor and device, class, its mask */\n#define MEDIANT_OPS_RULES";
    for (const pci_id& rule : provider.rules)
        out += " \\\n\t{ " + hex_number(rule.vendor, 8) + ", " + hex_number(rule.device, 8) + ", " +
               hex_number(rule.subvendor, 8) + ", " + hex_number(rule.subdevice, 8) + ", " +
               hex_number(rule.class_code & rule.class_mask, 6) + ", " + hex_number(rule.class_mask, 6) + " },";
    out += "\n\n/* offset, size, region */\n#define MEDIANT_OPS_RANGES";
    for (const mediant_bpf_range& range : facts.ranges)
        out += " \\\n\t{ " + short_hex(range.offset) + ", " + short_hex(range.size) + ", " +
               std::to_string(range.region) + ", 0 },";
    return out + '\n';
}

/// policy.cpp: the policy's functions under the names by which provider.bpf.c calls them.
[[nodiscard]] inline std::string bpf_policy_source(const provider_facts& provider,
                                                   const std::vector<std::string>& headers) {
    const std::string type{provider.type};
    std::string out = "// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause\n"
                      "//\n// The policy behind the programs of provider.bpf.c.\n\n";
    for (const std::string& header : headers) out += "#include <" + header + ">\n";
    out += "\n#include <mediant/kernel/bpf_policy.hpp>\n\n#include \"ops.h\"\n\n"
           "static_assert(mediant::kernel::check_bpf_ops<" + type + ">(MEDIANT_OPS_STATE_SIZE, MEDIANT_OPS_IDENTITY,\n"
           "                                             MEDIANT_OPS_MEDIATES, {MEDIANT_OPS_RANGES}),\n"
           "              \"mediant: ops.h was written for other headers; write the tree anew \"\n"
           "              \"(shim --target bpf)\");\n\n"
           "extern \"C\" {\n";
    struct function {
        const char* name;
        const char* parameters;
        const char* arguments;
    };
    constexpr function all[] = {
        {"open", "", ""},
        {"release", "", ""},
        {"reset", "", ""},
        {"read", ", unsigned int region, unsigned long long offset, unsigned int size", ", region, offset, size"},
        {"write", ", unsigned int region, unsigned long long offset, unsigned int size, unsigned long long value",
         ", region, offset, size, value"},
        {"device_info", "", ""},
        {"region_info", ", unsigned int region", ", region"},
        {"irq_info", ", unsigned int index", ", index"},
        {"reset_device", "", ""},
    };
    for (const function& f : all)
        out += "int mediant_policy_" + std::string{f.name} + "(mediant_bpf_call* call" + f.parameters +
               ") {\n    return mediant::kernel::bpf_programs<" + type + ">::" + f.name + "(call" + f.arguments +
               ");\n}\n";
    return out + "}\n";
}

} // namespace mediant::kernel
