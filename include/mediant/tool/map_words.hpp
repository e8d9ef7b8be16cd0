// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/tool/map_records.hpp>

#include <fmt/core.h>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// How a map's facts are spelt, in every format alike.
namespace mediant::command_line {

/// Appends formatted text.
template <class... Args>
void put(std::string& out, fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(out), format, std::forward<Args>(args)...);
}

[[nodiscard]] constexpr std::string_view word(kind k) noexcept {
    constexpr std::array<std::string_view, 25> words{
        "rw",  "ro",  "wo",   "w1c",  "w1s",   "w1t",   "w0c",   "w0s",   "w0t", "wc",  "ws", "rc", "rs",
        "wrc", "wrs", "wsrc", "wcrs", "w1src", "w1crs", "w0src", "w0crs", "woc", "wos", "w1", "wo1"};
    return words[static_cast<std::size_t>(k)];
}
/// What a kind does, in a few words.
[[nodiscard]] constexpr std::string_view meaning(kind k) noexcept {
    constexpr std::array<std::string_view, 25> words{"written as is",
                                                     "writes are swallowed",
                                                     "written as is; reads as 0",
                                                     "writing 1 clears",
                                                     "writing 1 sets",
                                                     "writing 1 toggles",
                                                     "writing 0 clears",
                                                     "writing 0 sets",
                                                     "writing 0 toggles",
                                                     "any write clears all bits",
                                                     "any write sets all bits",
                                                     "writes are swallowed; a read clears",
                                                     "writes are swallowed; a read sets",
                                                     "written as is; a read clears",
                                                     "written as is; a read sets",
                                                     "any write sets all bits; a read clears",
                                                     "any write clears all bits; a read sets",
                                                     "writing 1 sets; a read clears",
                                                     "writing 1 clears; a read sets",
                                                     "writing 0 sets; a read clears",
                                                     "writing 0 clears; a read sets",
                                                     "any write clears all bits; reads as 0",
                                                     "any write sets all bits; reads as 0",
                                                     "the first write after reset is taken",
                                                     "the first write after reset is taken; reads as 0"};
    return words[static_cast<std::size_t>(k)];
}
[[nodiscard]] constexpr std::string_view word(from backing) noexcept {
    constexpr std::array<std::string_view, 3> words{"device", "shadow", "constant"};
    return words[static_cast<std::size_t>(backing)];
}
[[nodiscard]] constexpr std::string_view word(look what) noexcept {
    constexpr std::array<std::string_view, look_count> words{"pass",  "trap", "shadow", "constant",
                                                             "mixed", "hide", "deny",   "dynamic"};
    return words[static_cast<std::size_t>(what)];
}
/// One letter for each look, so that no drawing depends on colours.
[[nodiscard]] constexpr char letter(look what) noexcept { return "PTSCFHXD"[static_cast<std::size_t>(what)]; }
[[nodiscard]] constexpr std::string_view meaning(look what) noexcept {
    constexpr std::array<std::string_view, look_count> words{
        "named, left to the device", "the device's, seen by the provider",
        "in the provider's state",   "a value of the map",
        "fields that differ",        "reads as ones, writes are swallowed",
        "accesses are refused",      "trapped or passed while the device runs"};
    return words[static_cast<std::size_t>(what)];
}
[[nodiscard]] constexpr std::string_view word(entry::shape shape) noexcept {
    constexpr std::array<std::string_view, 6> words{"register", "block", "hide", "deny", "alias", "dynamic"};
    return words[static_cast<std::size_t>(shape)];
}
[[nodiscard]] constexpr std::string_view word(toward device) noexcept {
    constexpr std::array<std::string_view, 3> words{"preserve", "zeros", "ones"};
    return words[static_cast<std::size_t>(device)];
}
[[nodiscard]] constexpr std::string_view word(capability_facts::change what) noexcept {
    constexpr std::array<std::string_view, 3> words{"hidden", "added", "edited"};
    return words[static_cast<std::size_t>(what)];
}
[[nodiscard]] constexpr std::string_view word(bar_statement::kind what) noexcept {
    constexpr std::array<std::string_view, 5> words{"resized", "half", "hidden", "io", "memory"};
    return words[static_cast<std::size_t>(what)];
}
[[nodiscard]] constexpr std::string_view word(otherwise what) noexcept {
    return what == otherwise::refuse ? "refuse" : "swallow";
}

/// "bar0", "rom", "config"; a number for a device region.
[[nodiscard]] inline std::string region_name(region_index region) {
    constexpr std::array<std::string_view, fixed_regions> words{"bar0", "bar1", "bar2",   "bar3", "bar4",
                                                                "bar5", "rom",  "config", "vga"};
    const auto i = static_cast<std::uint32_t>(region);
    return i < fixed_regions ? std::string{words[i]} : fmt::format("region{}", i);
}

/// "read, written"; empty where there is none.
[[nodiscard]] inline std::vector<std::string_view> hook_words(on hook) {
    std::vector<std::string_view> out;
    if (has(hook, on::read)) out.push_back("read");
    if (has(hook, on::write)) out.push_back("write");
    if (has(hook, on::written)) out.push_back("written");
    return out;
}

/// The widths that an entry takes, in bits; empty for any.
[[nodiscard]] inline std::vector<unsigned> width_bits(width widths) {
    std::vector<unsigned> out;
    for (unsigned i = 0; i < 4; ++i)
        if ((static_cast<unsigned>(widths) >> i & 1) != 0) out.push_back(8u << i);
    return out;
}

template <class Words>
[[nodiscard]] std::string joined(const Words& words, std::string_view between = ", ") {
    std::string out;
    for (const auto& each : words) {
        if (!out.empty()) out += between;
        out += fmt::format("{}", each);
    }
    return out;
}

/// "0x" and at least `digits` hexadecimal digits.
[[nodiscard]] inline std::string hex(std::uint64_t value, unsigned digits = 1) {
    return fmt::format("0x{:0{}x}", value, digits);
}
/// How many hexadecimal digits the offsets in a region have.
[[nodiscard]] inline unsigned offset_digits(const region_facts& region) {
    const auto bits = static_cast<unsigned>(std::bit_width(region.size - 1));
    return bits <= 8 ? 2 : (bits + 3) / 4;
}

/// "4 KiB", "1 MiB", "48 bytes": whole units only.
[[nodiscard]] inline std::string size_text(std::uint64_t bytes) {
    constexpr std::array<std::string_view, 6> units{"bytes", "KiB", "MiB", "GiB", "TiB", "PiB"};
    std::size_t unit = 0;
    for (; bytes >= 1024 && bytes % 1024 == 0 && unit + 1 < units.size(); ++unit) bytes /= 1024;
    return bytes == 1 && unit == 0 ? "1 byte" : fmt::format("{} {}", bytes, units[unit]);
}
/// The name of a capability as the specifications have it; its number where it has none here.
[[nodiscard]] inline std::string capability_name(bool extended, std::uint16_t id) {
    struct named {
        std::uint16_t id;
        std::string_view name;
    };
    static constexpr named conventional[]{
        {0x01, "power management"}, {0x02, "AGP"}, {0x03, "VPD"}, {0x04, "slot identification"}, {0x05, "MSI"},
        {0x06, "hot swap"}, {0x07, "PCI-X"}, {0x08, "HyperTransport"}, {0x09, "vendor-specific"}, {0x0a, "debug port"},
        {0x10, "PCI Express"}, {0x11, "MSI-X"}, {0x12, "SATA"}, {0x13, "advanced features"},
        {0x14, "enhanced allocation"}};
    static constexpr named beyond[]{
        {0x01, "advanced error reporting"}, {0x02, "virtual channel"}, {0x03, "serial number"},
        {0x04, "power budgeting"}, {0x0b, "vendor-specific"}, {0x0d, "access control"},
        {0x0e, "alternative routing ID"}, {0x0f, "address translation"}, {0x10, "SR-IOV"}, {0x13, "page request"},
        {0x15, "resizable BAR"}, {0x17, "TPH requester"}, {0x18, "latency tolerance"}, {0x19, "secondary PCI Express"},
        {0x1b, "PASID"}, {0x1d, "downstream port containment"}, {0x1e, "L1 substates"}, {0x1f, "precision time"},
        {0x23, "DVSEC"}, {0x25, "data link feature"}, {0x26, "16 GT/s"}, {0x27, "lane margining"}};
    if (extended) {
        for (const named& each : beyond)
            if (each.id == id) return std::string{each.name};
    } else {
        for (const named& each : conventional)
            if (each.id == id) return std::string{each.name};
    }
    return hex(id, extended ? 4 : 2);
}

/// "9 entries", "1 entry"
[[nodiscard]] inline std::string count_text(std::size_t n, std::string_view one, std::string_view more) {
    return fmt::format("{} {}", n, n == 1 ? one : more);
}
/// "0x1000-0x3ffff", the last byte included.
[[nodiscard]] inline std::string range_text(range bytes, unsigned digits = 1) {
    return fmt::format("{}-{}", hex(bytes.offset, digits), hex(bytes.end() - 1, digits));
}

[[nodiscard]] inline std::uint64_t total_of(const std::vector<range>& areas) noexcept {
    std::uint64_t bytes = 0;
    for (const range area : areas) bytes += area.size;
    return bytes;
}
/// "0x1000-0x3ffff, 0x41000-0xfffff"; long lists are cut.
[[nodiscard]] inline std::string areas_text(const std::vector<range>& areas, std::size_t most = 8) {
    if (areas.empty()) return "none";
    std::vector<std::string> out;
    for (std::size_t i = 0; i < areas.size() && i < most; ++i) out.push_back(range_text(areas[i]));
    if (areas.size() > most) out.push_back(fmt::format("and {} more", areas.size() - most));
    return joined(out);
}

/// "32", "64 x 32", "4 KiB".
[[nodiscard]] inline std::string extent_text(const entry_facts& e) {
    std::string out = e.is_register() ? fmt::format("{}", 8 * e.size) : size_text(e.size);
    return e.array ? fmt::format("{} x {}", e.count, out) : out;
}
/// "rw"; nothing where fields say it, or where a window is no register.
[[nodiscard]] inline std::string kind_text(const entry_facts& e) {
    if (e.shape == entry::shape::hide || e.shape == entry::shape::deny || e.shape == entry::shape::dynamic) return {};
    return e.fields.empty() ? std::string{word(e.kind)} : "fields";
}
/// "shadow"; nothing where that says nothing.
[[nodiscard]] inline std::string backing_text(const entry_facts& e) {
    if (e.shape == entry::shape::hide || e.shape == entry::shape::deny || e.shape == entry::shape::dynamic) return {};
    if (e.fields.empty()) return std::string{word(e.backing)};
    std::vector<std::string_view> out;
    for (const from each : {from::device, from::shadow, from::constant})
        for (const field_facts& f : e.fields)
            if (!f.reserved() && f.backing == each) {
                out.push_back(word(each));
                break;
            }
    return joined(out);
}
/// "0x00000100"; a digit with bits of the device's is an x. Nothing where all of it is the device's.
[[nodiscard]] inline std::string reset_text(const entry_facts& e) {
    if (e.reset_bits == 0) return {};
    std::string out = hex(e.reset, static_cast<unsigned>(e.is_register() ? 2 * e.size : 2));
    for (std::size_t i = 2; i < out.size(); ++i)
        if ((e.reset_bits >> (4 * (out.size() - 1 - i)) & 0xf) != 0xf) out[i] = 'x';
    return e.is_register() ? out : "each byte " + out;
}
/// "7:4", "3"
[[nodiscard]] inline std::string bits_text(const field_facts& f) {
    return f.bits == 1 ? fmt::format("{}", f.low) : fmt::format("{}:{}", f.low + f.bits - 1, f.low);
}
/// The value of a field that is not the device's.
[[nodiscard]] inline std::string reset_text(const field_facts& f) {
    return f.backing == from::device ? std::string{} : hex(f.value, (f.bits + 3) / 4);
}
[[nodiscard]] inline std::string_view name_of(const field_facts& f) { return f.reserved() ? "reserved" : f.name; }

/// "09 00 08"; long lists are cut.
[[nodiscard]] inline std::string bytes_text(const std::vector<std::uint8_t>& bytes, std::size_t most = 24) {
    std::string out;
    for (std::size_t i = 0; i < bytes.size() && i < most; ++i) put(out, "{}{:02x}", i == 0 ? "" : " ", bytes[i]);
    if (bytes.size() > most) put(out, " and {} more", bytes.size() - most);
    return out;
}

/// What else there is to say of an entry, a sentence each.
[[nodiscard]] inline std::vector<std::string> notes_of(const entry_facts& e) {
    std::vector<std::string> out;
    if (e.shape == entry::shape::alias) out.push_back(fmt::format("{}, seen again", e.target));
    if (e.count > 1) out.push_back(fmt::format("elements {} apart, to {}", hex(e.stride), hex(e.end() - 1)));
    if (e.what == look::hide || e.what == look::deny) out.push_back(std::string{meaning(e.what)});
    if (e.shape == entry::shape::dynamic) out.push_back("trapped at open, switched while the device runs");
    if (e.widths != width::any)
        out.push_back(fmt::format("only {} bits; others are {}", joined(width_bits(e.widths), " and "),
                                  e.otherwise == otherwise::refuse ? "refused" : "swallowed"));
    if (e.read_has_effect) out.push_back("reading has effects; read for the user only");
    if (!e.bytes.empty()) out.push_back("bytes " + bytes_text(e.bytes));
    out.insert(out.end(), e.more.begin(), e.more.end());
    return out;
}
/// What the device is given in a field's place, where that is not as it has it.
[[nodiscard]] inline std::string note_of(const field_facts& f) {
    return f.device == toward::preserve ? std::string{} : fmt::format("the device is written {}", word(f.device));
}

/// "vendor-specific", "serial number, extended"
[[nodiscard]] inline std::string name_of(const capability_facts& c) {
    return capability_name(c.extended, c.id) + (c.extended ? ", extended" : "");
}
/// Where and how much: "0xe0, 8 bytes" of what is added, "+0x04, 32" of an edit; nothing of what is hidden.
[[nodiscard]] inline std::string place_text(const capability_facts& c) {
    if (c.what == capability_facts::change::hidden) return {};
    const std::string where = hex(c.offset, c.extended ? 3 : 2);
    if (c.what == capability_facts::change::added) return fmt::format("{}, {}", where, size_text(c.size));
    return fmt::format("+{}, {}", where, c.size <= 8 ? fmt::format("{} bits", 8 * c.size) : size_text(c.size));
}
/// "09 00 08" of what all bits are stated of, else "0x0 in the bits 0x10000000".
[[nodiscard]] inline std::string value_text(const capability_facts& c, std::size_t most = 24) {
    bool whole = true;
    std::uint64_t value = 0;
    std::uint64_t mask = 0;
    for (std::size_t i = 0; i < c.masks.size() && i < 8; ++i) {
        whole = whole && c.masks[i] == 0xff;
        value |= std::uint64_t{c.bytes[i]} << (8 * i);
        mask |= std::uint64_t{c.masks[i]} << (8 * i);
    }
    return whole ? bytes_text(c.bytes, most) : fmt::format("{} in the bits {}", hex(value & mask), hex(mask));
}
/// "BAR 2", "ROM"
[[nodiscard]] inline std::string name_of(const bar_facts& b) {
    return b.stated.number == 6 ? std::string{"ROM"} : fmt::format("BAR {}", b.stated.number);
}
/// What a config map does to what the user sees of this BAR's region; nothing where it does nothing.
[[nodiscard]] inline std::string seen_text(const region_facts& region) {
    if (region.seen_as.empty()) return {};
    std::string out = "The user sees " + region.seen_as;
    if (region.visible != 0 && region.visible < region.size)
        put(out, ", {}; from {} on it is the provider's alone", size_text(region.visible), hex(region.visible));
    return out;
}

} // namespace mediant::command_line
