// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/kernel/shim_error.hpp>

#include <array>
#include <span>
#include <string>
#include <string_view>

/// The kinds of trees that the shim generator makes, of modules and of a BPF object, and what each takes from
/// kernel/module.
namespace mediant::kernel {

/// Files of kernel/module: a folder's sources, or one file.
struct module_part {
    std::string_view from;
    std::string_view to{}; ///< where in the tree, ending in '/'; its top if empty
};

/// One kind of module tree.
struct shim_target {
    std::string_view name;
    std::string_view folder;          ///< of kernel/module, with its README.md
    bool policy;                      ///< has providers and their policy object
    std::string_view suffix;          ///< of a module's name, after the provider's
    std::span<const module_part> parts;
};

namespace detail {

inline constexpr std::array<module_part, 5> variant_parts{
    {{"common"}, {"variant"}, {"policy.mk"}, {"abi_check.h"}, {"LICENSES", "LICENSES/"}}};
inline constexpr std::array<module_part, 5> provider_parts{
    {{"provider"}, {"registry", "registry/"}, {"policy.mk"}, {"abi_check.h"}, {"LICENSES", "LICENSES/"}}};
inline constexpr std::array<module_part, 5> host_parts{
    {{"common"}, {"host"}, {"registry", "registry/"}, {"abi_check.h"}, {"LICENSES", "LICENSES/"}}};
inline constexpr std::array<module_part, 2> bpf_parts{{{"bpf"}, {"LICENSES", "LICENSES/"}}};

} // namespace detail

/// The names of the host's two modules, which are the same everywhere.
inline constexpr std::string_view host_module = "vfio_pci_mediate";
inline constexpr std::string_view registry_module = "vfio_pci_mediate_core";

inline constexpr shim_target shim_targets[]{
    {"variant", "variant", true, "_vfio_pci", detail::variant_parts},
    {"provider", "provider", true, "_provider", detail::provider_parts},
    {"host", "host", false, "", detail::host_parts},
    {"bpf", "bpf", true, "", detail::bpf_parts},
};

/// The kind of a name; shim_error where there is none.
[[nodiscard]] inline const shim_target& find_target(std::string_view name) {
    std::string names;
    for (const shim_target& target : shim_targets) {
        if (target.name == name) return target;
        (names += names.empty() ? "" : ", ") += target.name;
    }
    throw shim_error{"target " + std::string{name} + ": there are " + names};
}

} // namespace mediant::kernel
