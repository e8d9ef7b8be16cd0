// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/bpf/error.hpp>
#include <mediant/bpf/messages.hpp>
#include <mediant/bpf/object.hpp>
#include <mediant/bpf/type_info.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace mediant::bpf {

/// Where the kernel shows itself, and where links are pinned.
struct places {
    std::filesystem::path sys = "/sys";
    std::filesystem::path proc = "/proc";
    std::filesystem::path pins = "/sys/fs/bpf/mediant";
};

inline constexpr std::string_view host_module = "vfio_pci_mediate";

/// Of the running kernel, as uname -r says it.
[[nodiscard]] inline std::string kernel_release(const places& where) {
    std::ifstream in{where.proc / "sys/kernel/osrelease"};
    std::string out;
    std::getline(in, out);
    return out;
}

/// Whether a kernel of that name is older than the first with struct_ops for modules as the host needs them.
[[nodiscard]] inline bool is_too_old(const std::string& release) {
    unsigned major = 0;
    unsigned minor = 0;
    return std::sscanf(release.c_str(), "%u.%u", &major, &minor) == 2 && (major < 6 || (major == 6 && minor < 12));
}

/// The host's side of the ops struct, as the running kernel describes it.
class host_types {
public:
    /// nullopt where the host takes no BPF providers.
    [[nodiscard]] static std::optional<host_types> load(const places& where) {
        const captured_messages said;
        const auto parse = [](const std::filesystem::path& path, ::btf* base) {
            type_info out{::btf__parse_split(path.c_str(), base)};
            if (!out) throw error{path.string() + ": this kernel's BTF cannot be read: " + captured_messages::lines()};
            return out;
        };
        const std::filesystem::path folder = where.sys / "kernel/btf";
        host_types out;
        out.kernel_ = parse(folder / "vmlinux", nullptr);
        out.module_ = parse(folder / host_module, out.kernel_.get());
        const std::string wrapped = "bpf_struct_ops_" + std::string{ops_type};
        const int id = ::btf__find_by_name_kind(out.module_.get(), wrapped.c_str(), BTF_KIND_STRUCT);
        const layout value{*out.module_, id < 0 ? 0u : static_cast<std::uint32_t>(id)};
        const auto data = value.find("data");
        if (!data) return std::nullopt;
        out.value_id_ = static_cast<std::uint32_t>(id);
        out.data_ = *data;
        return out;
    }

    /// What a struct_ops map of the host's holds, and in it the ops.
    [[nodiscard]] layout value() const { return {*module_, value_id_}; }
    [[nodiscard]] std::uint32_t value_id() const noexcept { return value_id_; }
    [[nodiscard]] layout ops() const { return value().of(data_); }
    [[nodiscard]] std::uint64_t ops_offset() const noexcept { return data_.offset; }

private:
    type_info kernel_; // outlives what is split from it
    type_info module_;
    std::uint32_t value_id_ = 0;
    layout::member data_;
};

/// Whether this machine has a host that takes BPF providers, and what is missing otherwise.
struct host_state {
    bool loaded = false;
    bool takes_providers = false;
    std::string version; ///< of the module; empty where it has none
    std::string missing; ///< in words, with what helps; empty where nothing is
};

[[nodiscard]] inline host_state look_at_host(const places& where) {
    std::error_code ignored;
    const auto there = [&](const std::filesystem::path& path) { return std::filesystem::exists(path, ignored); };
    const std::filesystem::path module = where.sys / "module" / host_module;
    const std::filesystem::path types = where.sys / "kernel/btf";
    host_state out;
    out.loaded = there(module);
    if (std::ifstream in{module / "version"}) std::getline(in, out.version);
    if (!there(types / "vmlinux")) {
        out.missing = "this kernel (" + kernel_release(where) + ") has no BTF (" + (types / "vmlinux").string() +
                      "): it is built without CONFIG_DEBUG_INFO_BTF and takes no BPF providers, but provider modules";
    } else if (!out.loaded) {
        out.missing = "the host is not loaded (no " + module.string() + "): modprobe " + std::string{host_module};
    } else {
        try {
            out.takes_providers = there(types / host_module) && host_types::load(where).has_value();
        } catch (const error& wrong) {
            out.missing = wrong.what();
            return out;
        }
        if (out.takes_providers) return out;
        if (const std::string release = kernel_release(where); is_too_old(release))
            out.missing = "this kernel (" + release +
                          ") is too old: 6.12 is the first whose hosts take BPF providers; it takes provider modules";
        else if (!there(types / host_module))
            out.missing = "the host has no BTF (no " + (types / host_module).string() +
                          "), so it takes no BPF providers: it must be built where the kernel's headers have vmlinux "
                          "and pahole is installed, for a kernel with CONFIG_DEBUG_INFO_BTF_MODULES";
        else
            out.missing = "the host takes no BPF providers: the kernel that it was built for had no struct_ops for "
                          "modules";
    }
    return out;
}

/// A BPF provider as the host tells of it: what is attached, and what was while devices that it serves are open.
struct host_provider {
    std::string name;
    std::uint64_t identity = 0;
    std::uint32_t state_size = 0;
    bool attached = false;
    std::vector<std::string> devices; ///< that are open with it, as 0000:01:00.0
};

/// From the host's driver in sysfs, a line each: "edu identity=0x1 state=8 attached=1 devices=0000:01:00.0".
[[nodiscard]] inline std::vector<host_provider> host_providers(const places& where) {
    std::vector<host_provider> out;
    std::ifstream in{where.sys / "bus/pci/drivers" / host_module / "bpf_providers"};
    for (std::string line; std::getline(in, line);) {
        host_provider one;
        std::istringstream words{line};
        words >> one.name;
        one.name = printable(one.name);
        for (std::string word; words >> word;) {
            const std::string value = word.substr(std::min(word.find('=') + 1, word.size()));
            if (word.starts_with("identity=")) one.identity = std::strtoull(value.c_str(), nullptr, 0);
            if (word.starts_with("state="))
                one.state_size = static_cast<std::uint32_t>(std::strtoul(value.c_str(), nullptr, 0));
            if (word.starts_with("attached=")) one.attached = value == "1";
            if (!word.starts_with("devices=")) continue;
            std::istringstream addresses{value};
            for (std::string address; std::getline(addresses, address, ',');) one.devices.push_back(address);
        }
        if (!one.name.empty()) out.push_back(std::move(one));
    }
    return out;
}

/// Whether this process has a capability (a CAP_ number); also where that cannot be told.
[[nodiscard]] inline bool has_capability(const places& where, unsigned number) {
    std::ifstream in{where.proc / "self/status"};
    for (std::string line; std::getline(in, line);)
        if (line.starts_with("CapEff:")) return (std::stoull(line.substr(7), nullptr, 16) >> number & 1) != 0;
    return true;
}

} // namespace mediant::bpf
