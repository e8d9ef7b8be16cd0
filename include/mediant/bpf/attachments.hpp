// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/bpf/api.hpp>
#include <mediant/bpf/error.hpp>
#include <mediant/bpf/host.hpp>
#include <mediant/bpf/object.hpp>
#include <mediant/bpf/pins.hpp>
#include <mediant/device/unique_fd.hpp>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <unistd.h>

/// What is attached to the host, as the kernel tells it.
namespace mediant::bpf {

/// A program that the kernel runs for a provider.
struct loaded_program {
    std::string op;
    std::uint32_t id = 0;
    std::string name;
    std::uint32_t verified = 0; ///< instructions that the verifier went through; 0 where the kernel does not tell
    std::uint32_t compiled = 0; ///< bytes of machine code
};

/// A provider's link, alive in the kernel.
struct attachment {
    std::filesystem::path pin; ///< empty where it is not pinned in the folder that was looked at
    std::uint32_t link = 0;    ///< its id
    std::uint32_t map = 0;     ///< the id of the map with the ops; 0 where it is detached
    description provider;      ///< of the map that is attached now
    std::vector<loaded_program> programs;
};

/// A pin that is no provider's link, or one that cannot be looked at.
struct other_pin {
    std::filesystem::path pin;
    std::string what;
};

/// Whether a descriptor is a link's. The kernel describes a map or a program to whoever asks it for a link, too, and
/// some look like one then.
[[nodiscard]] inline bool is_link(int fd) {
    char name[64] = {};
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    if (::readlink(path.c_str(), name, sizeof name - 1) < 0) return true; // without /proc there is no telling
    const std::string_view text = name; // "anon_inode:bpf-link" or "anon_inode:bpf_link", by the kernel's version
    return text.find("bpf") != text.npos && text.find("link") != text.npos;
}

/// What a link refers to; nullopt where it is no link of a struct_ops.
[[nodiscard]] inline std::optional<std::uint32_t> struct_ops_map(int link, std::uint32_t& link_id) {
    if (!is_link(link)) return std::nullopt;
    ::bpf_link_info info{};
    std::uint32_t size = sizeof info;
    if (::bpf_link_get_info_by_fd(link, &info, &size) != 0 || info.type != BPF_LINK_TYPE_STRUCT_OPS)
        return std::nullopt;
    link_id = info.id;
    return info.struct_ops.map_id;
}

/// Whether a map's ops are the host's: by the BTF that its type is in.
[[nodiscard]] inline bool is_of_host(const ::bpf_map_info& map, const host_types& types) {
    const device::unique_fd btf{::bpf_btf_get_fd_by_id(map.btf_vmlinux_id)};
    if (!btf) return false;
    char name[64] = {};
    ::bpf_btf_info info{};
    info.name = reinterpret_cast<std::uintptr_t>(name);
    info.name_len = sizeof name;
    std::uint32_t size = sizeof info;
    return ::bpf_btf_get_info_by_fd(btf.get(), &info, &size) == 0 && host_module == name &&
           map.btf_vmlinux_value_type_id == types.value_id() && map.value_size == types.value().size();
}

/// What a link has attached; nullopt where it is no provider's, and an empty one (map 0) where it is detached.
[[nodiscard]] inline std::optional<attachment> look_at_link(int link, const host_types& types) {
    attachment out;
    const auto map_id = struct_ops_map(link, out.link);
    if (!map_id) return std::nullopt;
    if (*map_id == 0) return out;
    const device::unique_fd map{::bpf_map_get_fd_by_id(*map_id)};
    if (!map) return errno == ENOENT ? std::optional{out} : std::nullopt;
    ::bpf_map_info info{};
    std::uint32_t size = sizeof info;
    if (::bpf_map_get_info_by_fd(map.get(), &info, &size) != 0 || !is_of_host(info, types)) return std::nullopt;
    out.map = *map_id;

    // Arrays of the kernel's are read in multiples of 8.
    std::vector<std::byte> value((info.value_size + 7u) / 8 * 8);
    const std::uint32_t zero = 0;
    if (::bpf_map_lookup_elem(map.get(), &zero, value.data()) != 0) return std::nullopt;
    const layout ops = types.ops();
    const bytes part = bytes{value}.subspan(std::min<std::size_t>(types.ops_offset(), value.size()));
    out.provider = read_description(ops, part, "map " + std::to_string(*map_id));
    for (std::size_t index = 0; index < ops.count(); ++index) {
        const auto member = ops.at(index);
        if (!member || !member->function) continue;
        // In place of functions the kernel tells the programs' ids.
        const auto id = elf::at<std::uint64_t>(part, member->offset);
        if (!id || *id == 0) continue;
        loaded_program program{member->name, static_cast<std::uint32_t>(*id), {}, 0, 0};
        if (const device::unique_fd fd{::bpf_prog_get_fd_by_id(program.id)}) {
            ::bpf_prog_info about{};
            std::uint32_t about_size = sizeof about;
            if (::bpf_prog_get_info_by_fd(fd.get(), &about, &about_size) == 0) {
                program.name = about.name;
                program.verified = about.verified_insns;
                program.compiled = about.jited_prog_len;
            }
        }
        out.programs.push_back(std::move(program));
    }
    return out;
}

struct attachments {
    std::vector<attachment> providers;
    std::vector<other_pin> others; ///< of the folder
};

/// All providers that are attached, pinned in the folder first. Throws where the kernel does not let this process look.
[[nodiscard]] inline attachments look_at_attachments(const places& where, const host_types& types) {
    attachments out;
    for (const std::filesystem::path& path : pins_in(where.pins)) {
        const device::unique_fd link{::bpf_obj_get(path.c_str())};
        if (!link) {
            if (errno == EPERM) throw system_failure(path.string(), "cannot be opened", EPERM);
            out.others.push_back({path, "cannot be opened: " + std::generic_category().message(errno)});
        } else if (auto one = look_at_link(link.get(), types)) {
            one->pin = path;
            out.providers.push_back(*std::move(one));
        } else {
            out.others.push_back({path, "is no provider's link"});
        }
    }
    for (std::uint32_t id = 0; ::bpf_link_get_next_id(id, &id) == 0;) {
        const auto same = [id](const attachment& one) { return one.link == id; };
        if (std::ranges::any_of(out.providers, same)) continue;
        const device::unique_fd link{::bpf_link_get_fd_by_id(id)};
        if (!link) continue; // gone meanwhile
        if (auto one = look_at_link(link.get(), types)) out.providers.push_back(*std::move(one));
    }
    if (errno != ENOENT) throw system_failure("the kernel's links", "cannot be listed", errno);
    return out;
}

} // namespace mediant::bpf
