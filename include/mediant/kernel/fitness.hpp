// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
#pragma once

#include <mediant/pci/id.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

/// What a provider must be so that a kernel module can carry it. Asked where a module is made, so that a provider
/// for user space alone is free of it.
namespace mediant::kernel {

/// Whether the module loader lets a module of this licence use symbols that are exported for GPL modules, as
/// vfio-pci-core's are (license_is_gpl_compatible in include/linux/license.h).
[[nodiscard]] constexpr bool gpl_compatible(std::string_view license) noexcept {
    for (const std::string_view good : {std::string_view{"GPL"}, std::string_view{"GPL v2"},
                                        std::string_view{"GPL and additional rights"}, std::string_view{"Dual BSD/GPL"},
                                        std::string_view{"Dual MIT/GPL"}, std::string_view{"Dual MPL/GPL"}})
        if (license == good) return true;
    return false;
}

/// Whether a rule can be written as a module alias: it compares each byte of the class whole or not at all
/// (do_pci_entry in scripts/mod/file2alias.c).
[[nodiscard]] constexpr bool has_module_alias(const pci_id& rule) noexcept {
    for (unsigned shift = 0; shift < 24; shift += 8) {
        const std::uint32_t mask = (rule.class_mask >> shift) & 0xff;
        if (mask != 0 && mask != 0xff) return false;
    }
    return true;
}

/// Most bytes of state that one open device may have in the kernel.
inline constexpr std::size_t most_state_bytes = 64 * 1024;
/// Of what migrates, with a copy of that state and a chunk of its stream (MEDIANT_MOST_STATE in registry/judge.c).
inline constexpr std::size_t most_object_bytes = 256 * 1024;

} // namespace mediant::kernel
