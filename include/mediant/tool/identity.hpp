// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/pci/id.hpp>
#include <mediant/tool/number.hpp>
#include <mediant/tool/program.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mediant::command_line {

/// A device as it is named on a command line: VID:DID or VID:DID:SUBVID:SUBDID, in hexadecimal, and maybe a class.
/// What was not said is any_id, in class_code too.
struct identity {
    device_id id{any_id, any_id, any_id, any_id, any_id};

    /// The device, with 0 for what was not said.
    [[nodiscard]] device_id filled() const noexcept {
        device_id out = id;
        for (std::uint32_t* const field : {&out.vendor, &out.device, &out.subvendor, &out.subdevice, &out.class_code})
            if (*field == any_id) *field = 0;
        return out;
    }

    /// Whether a device is of this kind as far as was said.
    [[nodiscard]] bool fits(const device_id& other) const noexcept {
        const auto same = [](std::uint32_t said, std::uint32_t is) { return said == any_id || said == is; };
        return same(id.vendor, other.vendor) && same(id.device, other.device) && same(id.subvendor, other.subvendor) &&
               same(id.subdevice, other.subdevice) && same(id.class_code, other.class_code);
    }

    /// Whether a rule matches whatever was not said.
    [[nodiscard]] bool matched_by(const pci_id& rule) const noexcept {
        if (id.class_code == any_id && rule.class_mask != 0) return false;
        return rule.matches(id);
    }

    /// Whether a rule matches some device of this kind.
    [[nodiscard]] bool may_be_matched_by(const pci_id& rule) const noexcept {
        const bool class_said = id.class_code != any_id;
        return rule.meets({id.vendor, id.device, id.subvendor, id.subdevice, class_said ? id.class_code : 0,
                           class_said ? 0xff'ffffu : 0u});
    }

    [[nodiscard]] std::string text() const {
        std::string out = fmt::format("{:04x}:{:04x}", id.vendor, id.device);
        if (id.subvendor != any_id) out += fmt::format(":{:04x}:{:04x}", id.subvendor, id.subdevice);
        if (id.class_code != any_id) out += fmt::format(" class {:06x}", id.class_code);
        return out;
    }
};

/// nullopt where the text has another shape.
[[nodiscard]] inline std::optional<identity> parse_identity(std::string_view text) {
    std::vector<std::uint32_t> fields;
    while (true) {
        const std::size_t end = std::min(text.find(':'), text.size());
        const std::optional<std::uint64_t> field = parse_hex(text.substr(0, end));
        if (!field || *field > 0xffff) return std::nullopt;
        fields.push_back(static_cast<std::uint32_t>(*field));
        if (end == text.size()) break;
        text.remove_prefix(end + 1);
    }
    identity out;
    if (fields.size() != 2 && fields.size() != 4) return std::nullopt;
    out.id.vendor = fields[0];
    out.id.device = fields[1];
    if (fields.size() == 4) {
        out.id.subvendor = fields[2];
        out.id.subdevice = fields[3];
    }
    return out;
}

/// An identity and a class, which may be empty. usage_error where they have another shape.
[[nodiscard]] inline identity identity_of(const std::string& text, const std::string& class_code) {
    std::optional<identity> out = parse_identity(text);
    if (!out) throw usage_error{text + ": not VID:DID or VID:DID:SUBVID:SUBDID, four hexadecimal digits each"};
    if (!class_code.empty()) {
        const std::optional<std::uint64_t> code = parse_hex(class_code);
        if (!code || *code > 0xff'ffff) throw usage_error{class_code + ": not a class of six hexadecimal digits"};
        out->id.class_code = static_cast<std::uint32_t>(*code);
    }
    return *out;
}

/// A provider that serves a device, and by which of its rules.
struct match {
    std::size_t provider;
    pci_id rule;
};

/// Who serves a device, in the order in which they are asked.
[[nodiscard]] inline std::vector<match> matches_of(const program& what, const identity& who) {
    std::vector<match> out;
    for (std::size_t i = 0; i < what.providers.size(); ++i) {
        const pci_id* best = nullptr;
        for (const pci_id& rule : what.providers[i].facts.rules)
            if (who.matched_by(rule) && (best == nullptr || rule.rank() > best->rank())) best = &rule;
        if (best == nullptr) continue;
        const auto at = std::find_if(out.begin(), out.end(),
                                     [&](const match& m) { return m.rule.rank() < best->rank(); });
        out.insert(at, {i, *best});
    }
    return out;
}

} // namespace mediant::command_line
