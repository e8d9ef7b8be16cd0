// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/bpf/attachments.hpp>
#include <mediant/bpf/host.hpp>
#include <mediant/bpf/loader.hpp>
#include <mediant/bpf/object.hpp>
#include <mediant/bpf/pins.hpp>
#include <mediant/bpf/units.hpp>
#include <mediant/kernel/readme.hpp>
#include <mediant/tool/bpf_options.hpp>
#include <mediant/tool/program.hpp>

#include <fmt/core.h>
#include <fmt/ostream.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <optional>
#include <ostream>
#include <string>
#include <system_error>
#include <vector>

/// attach, detach, replace, status and units, on libbpf.
namespace mediant::command_line {

namespace bpf_detail {

[[nodiscard]] inline bpf::places places_of(const bpf_options& options) {
    bpf::places out;
    if (!options.sys.empty()) out.sys = options.sys;
    if (!options.proc.empty()) out.proc = options.proc;
    if (!options.pins.empty()) out.pins = options.pins;
    return out;
}

[[nodiscard]] inline std::vector<std::string> mediated(unsigned bits) {
    static constexpr struct {
        unsigned bit;
        const char* name;
    } names[] = {{MEDIANT_DEVICE_INFO, "device_info"},
                 {MEDIANT_REGION_INFO, "region_info"},
                 {MEDIANT_IRQ_INFO, "irq_info"},
                 {MEDIANT_RESET_DEVICE, "reset_device"}};
    std::vector<std::string> out;
    for (const auto& one : names) {
        if ((bits & one.bit) != 0) out.emplace_back(one.name);
        bits &= ~one.bit;
    }
    if (bits != 0) out.push_back(fmt::format("{:#x}", bits));
    return out;
}

/// A line for a part of something; one without a name goes on with the line before.
inline void print_field(std::ostream& out, const char* name, const std::string& value) {
    fmt::print(out, "  {:<9} {}\n", name, value);
}

inline void print_description(std::ostream& out, const bpf::description& what) {
    print_field(out, "version", std::to_string(what.version));
    print_field(out, "identity", fmt::format("{:#018x}", what.identity));
    print_field(out, "state", fmt::format("{} bytes", what.state_size));
    const char* name = "serves";
    for (const mediant_rule& rule : what.rules) {
        print_field(out, name, kernel::rule_text(bpf::rule_of(rule)));
        name = "";
    }
    name = "traps";
    for (const mediant_bpf_range& range : what.ranges) {
        print_field(out, name, fmt::format("region {} {:#x} + {:#x}", range.region, range.offset, range.size));
        name = "";
    }
    name = "requests";
    for (const std::string& one : mediated(what.mediates)) {
        print_field(out, name, one);
        name = "";
    }
}

[[nodiscard]] inline nlohmann::json json_of(const bpf::description& what) {
    nlohmann::json out{{"name", what.name},
                       {"version", what.version},
                       {"identity", fmt::format("{:#018x}", what.identity)},
                       {"state_size", what.state_size},
                       {"mediates", mediated(what.mediates)},
                       {"rules", nlohmann::json::array()},
                       {"ranges", nlohmann::json::array()}};
    for (const mediant_rule& rule : what.rules) out["rules"].push_back(kernel::rule_text(bpf::rule_of(rule)));
    for (const mediant_bpf_range& range : what.ranges)
        out["ranges"].push_back({{"region", range.region}, {"offset", range.offset}, {"size", range.size}});
    return out;
}

/// What the verifier refuses is told with its whole log, below what that comes to.
template <class Action>
auto with_log(Action&& action) {
    try {
        return action();
    } catch (const bpf::refused& wrong) {
        const bool ends = wrong.log().ends_with('\n');
        throw command_error{fmt::format("{}\nall that it says:\n{}{}(that was all; what it comes to is on top)",
                                        wrong.what(), wrong.log(), ends ? "" : "\n")};
    }
}

} // namespace bpf_detail

inline int run_attach(const bpf_options& options, std::ostream& out) {
    const bpf::places where = bpf_detail::places_of(options);
    const std::vector<std::byte> file = bpf::read_object(options.object);
    const bpf::object_description what = bpf::describe(file, options.object);
    if (options.dry_run) {
        bpf::require_version(what, options.object);
        fmt::print(out, "{}\n", what.name);
        bpf_detail::print_description(out, what);
        const char* name = "programs";
        for (const bpf::op_program& one : what.programs) {
            bpf_detail::print_field(out, name,
                                    fmt::format("{} = {}, {} instructions{}", one.op, one.program, one.instructions,
                                                one.sleepable ? "" : ", cannot sleep"));
            name = "";
        }
        bpf_detail::print_field(out, "license", what.license);
        return success;
    }
    if (options.mounts) bpf::mount_bpffs(where.pins);
    if (const auto pin = bpf::pin_of(where, what.name); options.if_needed && bpf::is_attached(pin)) {
        fmt::print(out, "{}: attached already, pinned at {}\n", what.name, pin.string());
        return success;
    }
    const bpf::attached done = bpf_detail::with_log([&] { return bpf::attach(file, options.object, where); });
    fmt::print(out, "{}: attached as link {}, pinned at {}\n", what.name, done.link, done.pin.string());
    return success;
}

inline int run_detach(const bpf_options& options, std::ostream& out) {
    const bpf::places where = bpf_detail::places_of(options);
    std::error_code ignored;
    if (options.if_needed && !std::filesystem::exists(bpf::pin_of(where, options.name), ignored)) {
        fmt::print(out, "{}: not attached\n", options.name);
        return success;
    }
    bpf::detach(options.name, where);
    fmt::print(out, "{}: detached\n", options.name);
    return success;
}

inline int run_replace(const bpf_options& options, std::ostream& out) {
    const std::vector<std::byte> file = bpf::read_object(options.object);
    const bpf::attached done = bpf_detail::with_log(
        [&] { return bpf::replace(file, options.object, bpf_detail::places_of(options)); });
    fmt::print(out, "{}: replaced, as link {}\n", done.pin.filename().string(), done.link);
    return success;
}

/// Exits with failure where the host takes no BPF providers.
inline int run_status(const bpf_options& options, std::ostream& out) {
    const bpf::places where = bpf_detail::places_of(options);
    const bpf::host_state host = bpf::look_at_host(where);
    bpf::attachments found;
    if (host.takes_providers) {
        const auto types = bpf::host_types::load(where);
        if (types) found = bpf::look_at_attachments(where, *types);
    } else {
        for (const std::filesystem::path& pin : bpf::pins_in(where.pins))
            found.others.push_back({pin, "is not looked at"});
    }
    const std::vector<bpf::host_provider> told = bpf::host_providers(where);
    const auto host_of = [&told](const bpf::attachment& one) {
        const auto same = [&one](const bpf::host_provider& other) { return other.name == one.provider.name; };
        const auto at = std::ranges::find_if(told, same);
        return one.map == 0 || at == told.end() ? std::nullopt : std::optional{*at};
    };
    if (options.json) {
        nlohmann::json all{{"host",
                            {{"loaded", host.loaded},
                             {"takes_providers", host.takes_providers},
                             {"version", host.version},
                             {"missing", host.missing}}},
                           {"providers", nlohmann::json::array()},
                           {"withdrawn", nlohmann::json::array()},
                           {"other_pins", nlohmann::json::array()}};
        for (const bpf::attachment& one : found.providers) {
            nlohmann::json each = one.map == 0 ? nlohmann::json{{"name", one.pin.filename().string()}}
                                               : bpf_detail::json_of(one.provider);
            each["pin"] = one.pin.string();
            each["link"] = one.link;
            each["map"] = one.map;
            each["programs"] = nlohmann::json::array();
            for (const bpf::loaded_program& program : one.programs)
                each["programs"].push_back({{"op", program.op},
                                            {"id", program.id},
                                            {"name", program.name},
                                            {"verified_instructions", program.verified},
                                            {"machine_code_bytes", program.compiled}});
            const auto known = host_of(one);
            each["devices"] = known ? known->devices : std::vector<std::string>{};
            all["providers"].push_back(std::move(each));
        }
        for (const bpf::host_provider& one : told)
            if (!one.attached) all["withdrawn"].push_back({{"name", one.name}, {"devices", one.devices}});
        for (const bpf::other_pin& one : found.others)
            all["other_pins"].push_back({{"pin", one.pin.string()}, {"what", one.what}});
        fmt::print(out, "{}\n", all.dump(2, ' ', false, nlohmann::json::error_handler_t::replace)); // pins' names
        return host.takes_providers ? success : failure;
    }

    fmt::print(out, "{}{}{}: {}\n", bpf::host_module, host.version.empty() ? "" : " ", host.version,
               host.takes_providers ? "takes BPF providers" : host.missing);
    const auto list = [](const std::vector<std::string>& words) {
        std::string text;
        for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
        return text;
    };
    for (const bpf::attachment& one : found.providers) {
        if (one.map == 0) {
            fmt::print(out, "{}: link {}, detached\n", one.pin.string(), one.link);
            continue;
        }
        fmt::print(out, "{}\n", one.provider.name);
        bpf_detail::print_field(
            out, "link",
            fmt::format("{}, map {}, {}", one.link, one.map,
                        one.pin.empty() ? "not pinned in " + where.pins.string() : "pinned at " + one.pin.string()));
        bpf_detail::print_description(out, one.provider);
        const char* name = "programs";
        for (const bpf::loaded_program& program : one.programs) {
            bpf_detail::print_field(out, name,
                                    fmt::format("{} = {}, id {}, {} instructions verified, {} bytes of machine code",
                                                program.op, program.name, program.id, program.verified,
                                                program.compiled));
            name = "";
        }
        if (const auto known = host_of(one); known && !known->devices.empty())
            bpf_detail::print_field(out, "open", list(known->devices));
    }
    for (const bpf::host_provider& one : told)
        if (!one.attached)
            fmt::print(out, "{}: withdrawn; what it trapped fails, of {}\n", one.name, list(one.devices));
    for (const bpf::other_pin& one : found.others)
        fmt::print(out, "{}: {}\n", bpf::printable(one.pin.string()), one.what);
    return host.takes_providers ? success : failure;
}

inline int run_units(const bpf_options& options, std::ostream& out) {
    const std::vector<std::byte> file = bpf::read_object(options.object);
    const bpf::object_description what = bpf::describe(file, options.object);
    bpf::unit_options places;
    if (!options.program.empty()) places.program = options.program;
    if (!options.objects.empty()) places.objects = options.objects;
    for (const bpf::unit_file& one : bpf::units(what, places)) {
        if (options.out.empty()) {
            fmt::print(out, "# ---- {}\n{}", one.path, one.text);
            continue;
        }
        const std::filesystem::path path = std::filesystem::path{options.out} / one.path;
        std::error_code wrong;
        std::filesystem::create_directories(path.parent_path(), wrong);
        std::ofstream to{path, std::ios::binary | std::ios::trunc};
        to << one.text;
        to.close();
        if (!to) throw command_error{fmt::format("{}: cannot be written", path.string())};
        fmt::print(out, "{}\n", path.string());
    }
    return success;
}

} // namespace mediant::command_line
