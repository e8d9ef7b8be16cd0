// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/text.hpp>
#include <mediant/registers/config_layout.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

/// Compile-time checks of a config map. As in registers/checks.hpp, what is at fault is an argument of the check.
namespace mediant::detail {

template <bool Ok, text Register>
struct check_not_owned {
    static_assert(Ok, "mediant: the VFIO core owns this register of config space: it cannot be overlaid, shadowed or "
                      "swallowed; the register is the argument of check_not_owned");
};
template <bool Ok, text What>
struct check_inside_config {
    static_assert(Ok, "mediant: a statement of a config map has no bytes or reaches past config space; it is the "
                      "argument of check_inside_config");
};
template <bool Ok, text What>
struct check_config_number {
    static_assert(Ok, "mediant: a number in a config map does not fit its register, or a register has not 8, 16, 32 or "
                      "64 bits; the statement is the argument of check_config_number");
};
template <bool Ok, text First, text Second>
struct check_config_overlap {
    static_assert(Ok, "mediant: two statements of a config map contradict each other: they answer for the same bytes; "
                      "they are the arguments of check_config_overlap");
};
template <bool Ok, text First, text Second>
struct check_capability_collision {
    static_assert(Ok, "mediant: the offsets of two capabilities that a config map adds collide; they are the arguments "
                      "of check_capability_collision");
};
template <bool Ok, text What>
struct check_capability_place {
    static_assert(Ok, "mediant: an added capability lies at a multiple of 4, from 0x40 to 0xff, an extended one from "
                      "0x100 to 0xfff; it is the argument of check_capability_place");
};
template <bool Ok, text What>
struct check_capability_hidden {
    static_assert(Ok, "mediant: a config map states something of a capability that it hides; it is the argument of "
                      "check_capability_hidden");
};
template <bool Ok, text What>
struct check_observed {
    static_assert(Ok, "mediant: an observed register has a name, and 1, 2, 4 or 8 bytes; it is the argument of "
                      "check_observed");
};
template <bool Ok, text Name>
struct check_config_name {
    static_assert(Ok, "mediant: two statements of a config map have the same name, the argument of check_config_name");
};
template <bool Ok, text What>
struct check_bar_number {
    static_assert(Ok, "mediant: a BAR has a number from 0 to 5, and one of 64 bits is not the last; the statement is "
                      "the argument of check_bar_number");
};
template <bool Ok, text What>
struct check_bar_size {
    static_assert(Ok, "mediant: the size of a BAR is a power of two: of memory from 16 bytes on, at most 2 GiB in 32 "
                      "bits; of I/O from 4 to 256 bytes; the statement is the argument of check_bar_size");
};
template <bool Ok, text First, text Second>
struct check_bar_once {
    static_assert(Ok, "mediant: a config map states two things of one BAR; they are the arguments of check_bar_once");
};
template <bool Ok, text Name>
struct check_config_hook {
    static_assert(Ok, "mediant: the config map observes a register, but the policy has no written(at<config, "
                      "\"NAME\">, lanes<>, auto& next) that returns result<void>; the name is the last argument of "
                      "check_config_hook");
};
template <bool Ok, text Name>
struct check_config_write_passes {
    static_assert(Ok, "mediant: a write of config space passes as it is, or is swallowed, or goes to a shadow: it has "
                      "no write hook that could change its value; observe it (observe_writes) and have "
                      "written(at<config, \"NAME\">, lanes<>, auto& next); the name is the argument of "
                      "check_config_write_passes");
};
template <bool Ok, text Name>
struct check_config_read_hook {
    static_assert(Ok, "mediant: config space has no read hooks: state constants, or a shadow and assign it; the name "
                      "is the argument of check_config_read_hook");
};
template <bool Ok, text Name>
struct check_config_written_mark {
    static_assert(Ok, "mediant: the policy has a written hook for a statement of its config map that is no "
                      "observe_writes; the name is the argument of check_config_written_mark");
};

/// How an entry is called in a message: what it is, where, and its name; short, as clang cuts what is longer than 32
/// characters.
[[nodiscard]] constexpr text_builder<64> label_of(const config_entry& e) {
    using shape = config_entry::shape;
    text_builder<64> out;
    constexpr std::string_view bar_words[] = {"resize_bar ", "hide_upper_half ", "hide_bar ", "io_bar ", "memory_bar "};
    switch (e.what) {
    case shape::constant: out.add("constant"); break;
    case shape::shadow: out.add("shadow"); break;
    case shape::swallow: out.add("swallow_writes"); break;
    case shape::observe: out.add("observe_writes"); break;
    case shape::hide: return out.add("hide ").hex(e.in.id, 4);
    case shape::add: out.add("add"); break;
    case shape::bar: return out.add(bar_words[static_cast<std::size_t>(e.bar.what)]).hex(e.bar.number, 1);
    case shape::nothing: break;
    }
    if (e.in.where != anchor::to::space) out.add(" 0x").hex(e.in.id, e.in.where == anchor::to::capability ? 2 : 4);
    out.add(e.is_fixed() ? " at 0x" : "+0x").hex(e.offset, e.offset > 0xff ? 4 : 2);
    return e.name.empty() ? out : out.add(" ").add(e.name.substr(0, 24));
}
template <const auto& Map, std::size_t Index>
inline constexpr auto config_label = [] {
    text<label_of(Map.entries[Index]).view().size()> out{label_of(Map.entries[Index]).view()};
    return out;
}();
template <const auto& Map, std::size_t Index>
inline constexpr auto config_name = text<Map.entries[Index].name.size()>{Map.entries[Index].name};

/// The first entry that a predicate finds at fault, or npos.
template <const auto& Map, class Predicate>
[[nodiscard]] constexpr std::size_t first_bad_statement(Predicate bad) {
    for (std::size_t i = 0; i < Map.entries.size(); ++i)
        if (bad(Map.entries[i])) return i;
    return Map.npos;
}
template <template <bool, text> class Check, const auto& Map, std::size_t Bad>
[[nodiscard]] consteval bool report_statement() {
    if constexpr (Bad != Map.npos) static_cast<void>(Check<false, config_label<Map, Bad>>{});
    return Bad == Map.npos;
}

struct statement_pair {
    std::size_t first;
    std::size_t second;
};
/// The first two entries that a predicate finds at fault together, or {npos, npos}.
template <const auto& Map, class Predicate>
[[nodiscard]] constexpr statement_pair bad_pair(Predicate bad) {
    for (std::size_t i = 0; i < Map.entries.size(); ++i)
        for (std::size_t k = 0; k < i; ++k)
            if (bad(Map.entries[k], Map.entries[i])) return {k, i};
    return {Map.npos, Map.npos};
}
template <template <bool, text, text> class Check, const auto& Map, std::size_t First, std::size_t Second>
[[nodiscard]] consteval bool report_pair() {
    if constexpr (First != Map.npos)
        static_cast<void>(Check<false, config_label<Map, First>, config_label<Map, Second>>{});
    return First == Map.npos;
}

/// Whether an entry covers bytes in a way that only their owner may.
[[nodiscard]] constexpr bool covers(const config_entry& e) noexcept {
    using shape = config_entry::shape;
    return e.size != 0 && (e.what == shape::constant || e.what == shape::shadow || e.what == shape::swallow);
}

/// Whether an entry covers what the VFIO core owns in the header.
template <const auto& Map>
[[nodiscard]] constexpr bool covers_header(std::uint16_t offset, std::uint16_t size) {
    for (const config_entry& e : Map.entries)
        if (covers(e) && e.in.where == anchor::to::space && config_range{e.offset, e.size}.meets({offset, size}))
            return true;
    return false;
}
/// Whether an entry covers what the VFIO core owns in a capability; the header of any with id 0.
template <const auto& Map>
[[nodiscard]] constexpr bool covers_owned(cap which) {
    for (const config_entry& e : Map.entries) {
        if (!covers(e) || !(e.in == anchor{which})) continue;
        if (config_range{e.offset, e.size}.meets(owned_part(static_cast<std::uint8_t>(which)))) return true;
    }
    return false;
}
template <const auto& Map>
[[nodiscard]] constexpr bool covers_list_headers() {
    for (const config_entry& e : Map.entries) {
        if (!covers(e) || e.in.where == anchor::to::space) continue;
        if (e.offset < (e.in.where == anchor::to::capability ? 2 : 4)) return true;
    }
    return false;
}

template <const auto& Map>
[[nodiscard]] consteval bool check_owned_registers() {
    static_cast<void>(check_not_owned<!covers_header<Map>(config_offset::command, 2), text{"COMMAND"}>{});
    static_cast<void>(check_not_owned<!covers_header<Map>(config_offset::status, 2), text{"STATUS"}>{});
    static_cast<void>(check_not_owned<!covers_header<Map>(config_offset::header_type, 1), text{"HEADER TYPE"}>{});
    static_cast<void>(check_not_owned<!covers_header<Map>(config_offset::first_bar, 24), text{"BASE ADDRESS"}>{});
    static_cast<void>(
        check_not_owned<!covers_header<Map>(config_offset::rom, 4), text{"EXPANSION ROM BASE ADDRESS"}>{});
    static_cast<void>(
        check_not_owned<!covers_header<Map>(config_offset::capabilities, 1), text{"CAPABILITIES POINTER"}>{});
    static_cast<void>(
        check_not_owned<!covers_header<Map>(config_offset::interrupt_line, 2), text{"INTERRUPT LINE AND PIN"}>{});
    static_cast<void>(check_not_owned<!covers_owned<Map>(cap::pm), text{"power state"}>{});
    static_cast<void>(check_not_owned<!covers_owned<Map>(cap::vpd), text{"VPD address and data"}>{});
    static_cast<void>(check_not_owned<!covers_owned<Map>(cap::msi), text{"MSI"}>{});
    static_cast<void>(check_not_owned<!covers_owned<Map>(cap::msix), text{"MSI-X"}>{});
    static_cast<void>(check_not_owned<!covers_owned<Map>(cap::pcie), text{"PCI Express device control"}>{});
    static_cast<void>(check_not_owned<!covers_owned<Map>(cap::advanced_features), text{"AF control"}>{});
    static_cast<void>(check_not_owned<!covers_list_headers<Map>(), text{"capability ID and next pointer"}>{});
    return true;
}

/// A BAR's number, or 6 for a hidden expansion ROM; a wide one has another behind it.
[[nodiscard]] constexpr bool good_bar_number(const bar_statement& bar) noexcept {
    if (bar.number == 6) return bar.what == bar_statement::kind::hidden;
    return bar.number < (bar.wide ? 5u : 6u);
}

[[nodiscard]] constexpr bool good_bar_size(const bar_statement& bar) noexcept {
    using kind = bar_statement::kind;
    if (bar.what == kind::hidden || bar.what == kind::half) return true;
    const bool power = bar.size != 0 && (bar.size & (bar.size - 1)) == 0;
    if (bar.what == kind::io) return power && bar.size >= 4 && bar.size <= 256;
    // Of one that the device has, what fits is seen at open.
    const bool wide = bar.what == kind::resized || bar.wide;
    return power && bar.size >= (bar.what == kind::resized ? 4 : 16) && (wide || bar.size <= (std::uint64_t{1} << 31));
}
[[nodiscard]] constexpr bool same_bar(const config_entry& a, const config_entry& b) noexcept {
    if (a.what != config_entry::shape::bar || b.what != config_entry::shape::bar) return false;
    return a.bar.number == b.bar.number || (a.bar.wide && a.bar.number + 1 == b.bar.number) ||
           (b.bar.wide && b.bar.number + 1 == a.bar.number);
}

/// Whether one of two statements hides the capability that the other says something of.
[[nodiscard]] constexpr bool of_hidden(const config_entry& a, const config_entry& b) noexcept {
    using shape = config_entry::shape;
    if (a.in.where == anchor::to::space || !(a.in == b.in)) return false;
    const bool a_hides = a.what == shape::hide;
    const bool b_hides = b.what == shape::hide;
    return a_hides != b_hides && a.what != shape::add && b.what != shape::add;
}

/// Checks a config map; one that is not sound does not compile.
template <const auto& Map>
[[nodiscard]] consteval bool check_config_map() {
    using shape = config_entry::shape;
    using to = anchor::to;
    static_assert(Map.entries.size() < 1024, "mediant: a config map holds at most 1,023 entries");
    bool ok = check_owned_registers<Map>();
    ok &= report_statement<check_config_number, Map,
                           first_bad_statement<Map>([](const config_entry& e) { return !e.fits; })>();
    ok &= report_statement<check_inside_config, Map, first_bad_statement<Map>([](const config_entry& e) {
                               if (e.what == shape::nothing || e.what == shape::hide || e.what == shape::bar ||
                                   e.what == shape::add)
                                   return false;
                               if (!e.fits) return false;
                               std::uint32_t end = extended_config_bytes;
                               if (e.in.where == to::capability)
                                   end = conventional_config_bytes - config_offset::header_end;
                               if (e.in.where == to::extended_capability) end -= conventional_config_bytes;
                               return e.size == 0 || std::uint32_t{e.offset} + e.size > end;
                           })>();
    ok &= report_statement<check_capability_place, Map, first_bad_statement<Map>([](const config_entry& e) {
                               if (e.what != shape::add) return false;
                               const bool extended = e.in.where == to::extended_capability;
                               const std::uint32_t begin = extended ? conventional_config_bytes
                                                                    : config_offset::header_end;
                               const std::uint32_t end = extended ? extended_config_bytes : conventional_config_bytes;
                               return e.offset % 4 != 0 || e.offset < begin || std::uint32_t{e.offset} + e.size > end;
                           })>();
    constexpr statement_pair hidden = bad_pair<Map>(of_hidden);
    if constexpr (hidden.first != Map.npos) {
        constexpr std::size_t at_fault = Map.entries[hidden.first].what == shape::hide ? hidden.second : hidden.first;
        static_cast<void>(check_capability_hidden<false, config_label<Map, at_fault>>{});
        ok = false;
    }
    ok &= report_statement<check_observed, Map, first_bad_statement<Map>([](const config_entry& e) {
                               const bool width = e.size == 1 || e.size == 2 || e.size == 4 || e.size == 8;
                               return e.what == shape::observe && (e.name.empty() || !width);
                           })>();
    ok &= report_statement<check_bar_number, Map, first_bad_statement<Map>([](const config_entry& e) {
                               return e.what == shape::bar && !good_bar_number(e.bar);
                           })>();
    ok &= report_statement<check_bar_size, Map, first_bad_statement<Map>([](const config_entry& e) {
                               return e.what == shape::bar && !good_bar_size(e.bar);
                           })>();
    constexpr statement_pair bars = bad_pair<Map>(same_bar);
    ok &= report_pair<check_bar_once, Map, bars.first, bars.second>();
    constexpr statement_pair names = bad_pair<Map>(
        [](const config_entry& a, const config_entry& b) { return !a.name.empty() && a.name == b.name; });
    if constexpr (names.first != Map.npos) {
        static_cast<void>(check_config_name<false, config_name<Map, names.first>>{});
        ok = false;
    }
    constexpr statement_pair added = bad_pair<Map>([](const config_entry& a, const config_entry& b) {
        if (a.what != shape::add || b.what != shape::add) return false;
        return config_range{a.offset, a.size}.meets({b.offset, b.size});
    });
    ok &= report_pair<check_capability_collision, Map, added.first, added.second>();
    constexpr statement_pair overlap = bad_pair<Map>([](const config_entry& a, const config_entry& b) {
        const bool both_added = a.what == shape::add && b.what == shape::add;
        const bool of_one = !a.is_fixed() && !b.is_fixed() && a.in == b.in && a.in.where != to::space;
        const bool comparable = (a.is_fixed() && b.is_fixed()) || of_one;
        if (!comparable || both_added || !contradict(a, b)) return false;
        return config_range{a.offset, a.size}.meets({b.offset, b.size});
    });
    ok &= report_pair<check_config_overlap, Map, overlap.first, overlap.second>();
    return ok;
}

} // namespace mediant::detail
