// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/bpf/elf.hpp>
#include <mediant/bpf/error.hpp>
#include <mediant/bpf/type_info.hpp>
#include <mediant/kernel/bpf.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <ios>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace mediant::bpf {

/// One program of a provider.
struct op_program {
    std::string op;      ///< a member of mediant_bpf_ops
    std::string program; ///< the function
    bool sleepable = false;
    std::uint64_t instructions = 0;
};

/// What a provider says of itself: the data members of its mediant_bpf_ops.
struct description {
    std::string name;
    std::uint32_t version = 0; ///< MEDIANT_BPF_VERSION that it was made for
    std::uint32_t state_size = 0;
    std::uint64_t identity = 0;
    std::uint32_t mediates = 0;
    std::vector<mediant_rule> rules;
    std::vector<mediant_bpf_range> ranges;
};

/// And an object, of its programs.
struct object_description : description {
    std::string variable; ///< the C name of its ops
    std::string license;
    std::vector<op_program> programs; ///< in the order of the ops
};

/// Rules and ranges of later kernels and objects may be more than this header's, but not without bound.
inline constexpr std::uint64_t most_elements = 65536;

inline constexpr std::string_view ops_type = "mediant_bpf_ops";
inline constexpr std::string_view ops_section = ".struct_ops.link";

/// Whether it can name a provider, and so a file and a unit: as in a provider's info.
[[nodiscard]] inline bool is_provider_name(std::string_view text) noexcept {
    return !text.empty() && text.size() < MEDIANT_BPF_NAME && std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    });
}

/// Reads the members of an ops struct, of an object's or of a kernel's layout. Members that it does not have are 0.
/// Throws where one is of another shape than include/mediant/kernel/bpf.h says.
[[nodiscard]] inline description read_description(const layout& ops, bytes value, std::string_view where) {
    const auto fail = [where](const std::string& what) { throw error{std::string{where} + ": " + what}; };
    if (ops.size() > value.size()) fail("its mediant_bpf_ops is cut short");
    const auto number = [&](std::string_view name) {
        const auto which = ops.find(name);
        return which ? layout::number(value, 0, *which).value_or(0) : 0;
    };
    description out;
    out.version = static_cast<std::uint32_t>(number("version"));
    out.state_size = static_cast<std::uint32_t>(number("state_size"));
    out.identity = number("identity");
    out.mediates = static_cast<std::uint32_t>(number("mediates"));

    const auto name = ops.find("name");
    if (!name || name->offset > value.size() || name->size > value.size() - name->offset)
        fail("its mediant_bpf_ops has no name");
    const std::string_view text{reinterpret_cast<const char*>(value.data()) + name->offset, name->size};
    out.name = text.substr(0, text.find('\0'));

    // The numbers of those names, of each element.
    const auto each = [&]<std::size_t N>(const char* array, const char* count, const char* const(&names)[N],
                                         const auto& element) {
        const std::uint64_t wanted = number(count);
        if (wanted == 0) return;
        const auto which = ops.find(array);
        const layout shape = which ? ops.of(*which) : layout{ops};
        if (!which || !shape || wanted > most_elements || shape.size() == 0 || which->size / shape.size() < wanted ||
            which->offset > value.size() || which->size > value.size() - which->offset)
            fail(std::string{count} + " is " + std::to_string(wanted) + ", and there are not so many " + array);
        std::array<layout::member, N> members; // found once: there may be as many members as elements
        for (std::size_t i = 0; i < N; ++i) {
            const auto found = shape.find(names[i]);
            if (!found) fail(std::string{"an element of "} + array + " has no " + names[i]);
            members[i] = *found;
        }
        for (std::uint64_t index = 0; index < wanted; ++index) {
            std::array<std::uint64_t, N> numbers{};
            for (std::size_t i = 0; i < N; ++i) {
                const auto one = layout::number(value, which->offset + index * shape.size(), members[i]);
                if (!one) fail(std::string{"an element of "} + array + " has a " + names[i] + " that is no number");
                numbers[i] = *one;
            }
            element(numbers);
        }
    };
    each("rules", "rule_count", {"vendor", "device", "subvendor", "subdevice", "class_code", "class_mask"},
         [&out](const auto& numbers) {
             const auto part = [&numbers](std::size_t i) { return static_cast<unsigned>(numbers[i]); };
             out.rules.push_back({part(0), part(1), part(2), part(3), part(4), part(5)});
         });
    each("ranges", "range_count", {"offset", "size", "region"}, [&out](const auto& numbers) {
        out.ranges.push_back({numbers[0], numbers[1], static_cast<unsigned>(numbers[2]), 0});
    });
    return out;
}

/// What a BPF object says of itself; nothing is loaded. It may be anything: where it is no provider, an error says why.
[[nodiscard]] inline object_description describe(bytes file, std::string_view where) {
    const auto fail = [where](const std::string& what) { throw error{std::string{where} + ": " + what}; };
    const elf object{file, where};
    const elf::section* const raw = object.find(".BTF");
    if (raw == nullptr) fail("it has no BTF (.BTF); it must be built with -g");
    const type_info types = parse_type_info(raw->contents, where);

    const elf::section* const data = object.find(ops_section);
    if (data == nullptr) {
        if (object.find(".struct_ops") != nullptr)
            fail("its struct_ops is in section .struct_ops, which has no link that could be pinned; it must be in "
                 ".struct_ops.link");
        fail("it has no struct_ops (no section .struct_ops.link), so it is no provider");
    }
    const std::int32_t id = ::btf__find_by_name_kind(types.get(), ops_section.data(), BTF_KIND_DATASEC);
    const ::btf_type* const section = id < 0 ? nullptr : ::btf__type_by_id(types.get(), static_cast<std::uint32_t>(id));
    if (section == nullptr) fail("its BTF does not describe .struct_ops.link");
    if (btf_vlen(section) != 1)
        fail("it has " + std::to_string(btf_vlen(section)) + " variables in .struct_ops.link; a provider is one");
    const ::btf_type* const variable = ::btf__type_by_id(types.get(), ::btf_var_secinfos(section)->type);
    const char* const variable_name = variable == nullptr ? nullptr
                                                          : ::btf__name_by_offset(types.get(), variable->name_off);
    const int ops_id = ::btf__resolve_type(types.get(), ::btf_var_secinfos(section)->type);
    const layout ops{*types, ops_id < 0 ? 0u : static_cast<std::uint32_t>(ops_id)};
    if (variable_name == nullptr || !ops) fail("what it has in .struct_ops.link is no struct");
    if (ops.name() != ops_type)
        fail("its struct_ops is a struct " + printable(ops.name()) + ", not a struct mediant_bpf_ops");

    std::optional<elf::symbol> place;
    for (std::size_t index = 0; index < object.symbol_count() && !place; ++index)
        if (const elf::symbol one = object.symbol_at(index);
            one.section == data->index && one.type == STT_OBJECT && one.name == variable_name)
            place = one;
    if (!place || place->value > data->contents.size() || ops.size() > data->contents.size() - place->value)
        fail("its mediant_bpf_ops is not where its symbols say");

    object_description out{
        read_description(ops, data->contents.subspan(place->value, ops.size()), where), variable_name, {}, {}};
    if (const elf::section* const license = object.find("license")) {
        const std::string_view text{reinterpret_cast<const char*>(license->contents.data()), license->contents.size()};
        out.license = printable(text.substr(0, text.find('\0')));
    }
    if (!is_provider_name(out.name))
        fail("its provider's name is not one of 1 to " + std::to_string(MEDIANT_BPF_NAME - 1) +
             " lower-case letters, digits and '_'");
    // By where they are, once: there may be millions.
    std::map<std::uint64_t, elf::symbol> set;
    for (const elf::relocation& one : object.relocations(*data)) set.emplace(one.offset, one.of);
    std::map<std::pair<std::uint32_t, std::uint64_t>, elf::symbol> functions;
    for (std::size_t index = 0; index < object.symbol_count(); ++index)
        if (const elf::symbol one = object.symbol_at(index); one.type == STT_FUNC)
            functions.emplace(std::pair{one.section, one.value}, one);
    for (std::size_t index = 0; index < ops.count(); ++index) {
        const auto member = ops.at(index);
        if (!member || !member->function) continue;
        const auto target = set.find(place->value + member->offset);
        if (target == set.end() || target->second.section >= object.sections().size()) continue;
        const elf::section& code = object.sections()[target->second.section];
        op_program program{printable(member->name), {}, code.name.starts_with("struct_ops.s"), 0};
        const auto found = functions.find({target->second.section, target->second.value});
        if (found != functions.end()) {
            program.program = printable(found->second.name);
            program.instructions = found->second.size / 8;
        }
        out.programs.push_back(program);
    }
    return out;
}

/// An object's bytes, which are read once: what is described is what is loaded. Throws where the file cannot be read or
/// has more than 64 MiB.
[[nodiscard]] inline std::vector<std::byte> read_object(const std::filesystem::path& path) {
    static constexpr std::uintmax_t most = std::uintmax_t{64} << 20;
    std::error_code wrong;
    if (std::filesystem::is_directory(path, wrong)) throw system_failure(path.string(), "cannot be read", EISDIR);
    errno = 0;
    std::ifstream in{path, std::ios::binary};
    if (!in) throw system_failure(path.string(), "cannot be read", errno == 0 ? EIO : errno);
    std::vector<std::byte> out;
    std::vector<char> some(std::size_t{1} << 16);
    while (in.read(some.data(), static_cast<std::streamsize>(some.size())) || in.gcount() > 0) {
        const auto count = static_cast<std::size_t>(in.gcount());
        if (out.size() + count > most) throw error{path.string() + ": it has more than 64 MiB, so it is no provider"};
        const auto* const first = reinterpret_cast<const std::byte*>(some.data());
        out.insert(out.end(), first, first + count);
    }
    return out;
}

} // namespace mediant::bpf
