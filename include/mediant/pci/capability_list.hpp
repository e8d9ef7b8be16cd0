// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/pci/config_space.hpp>

#include <cstdint>

/// The lists of capabilities in a function's config space. What a device says there is not believed: walks are
/// bounded, and pointers are checked.
namespace mediant {

/// One capability as a list has it.
struct listed_capability {
    std::uint16_t offset;
    std::uint16_t id;
    std::uint16_t next; ///< 0: the last
    std::uint16_t size; ///< bytes within config space; 0 where the ID does not tell
};

/// Calls visit(listed_capability) for each capability of the first 256 bytes, in the list's order. `load(offset,
/// dword)` reads a dword of config space and answers whether it could. False where the list is broken: a pointer into
/// the header, a loop, a read that fails; what came before that has been visited.
template <class Load, class Visit>
constexpr bool walk_capabilities(const Load& load, const Visit& visit) {
    std::uint32_t dword = 0;
    if (!load(config_offset::command, dword)) return false;
    if ((dword >> 16 & 0x0010) == 0) return true; // STATUS: no list
    if (!load(config_offset::capabilities, dword)) return false;
    std::uint32_t at = dword & 0xfc;
    // More than fit in the space are a loop.
    for (int left = (256 - 64) / 4; at != 0; --left) {
        if (left == 0 || at < config_offset::header_end || !load(at, dword)) return false;
        const auto id = static_cast<std::uint8_t>(dword);
        if (id == 0xff) return false; // nothing is there
        const std::uint32_t room = conventional_config_bytes - at;
        const std::uint32_t size = capability_bytes(id, dword);
        const std::uint32_t next = dword >> 8 & 0xfc;
        visit(listed_capability{static_cast<std::uint16_t>(at), id, static_cast<std::uint16_t>(next),
                                static_cast<std::uint16_t>(size < room ? size : room)});
        at = next;
    }
    return true;
}

/// The same for the extended capabilities, which begin at 0x100. A null capability is visited with ID 0.
template <class Load, class Visit>
constexpr bool walk_extended_capabilities(const Load& load, const Visit& visit) {
    std::uint32_t at = conventional_config_bytes;
    for (int left = (4096 - 256) / 8; at != 0; --left) {
        std::uint32_t first = 0;
        std::uint32_t second = 0;
        if (left == 0 || at < conventional_config_bytes || !load(at, first)) return false;
        if (at == conventional_config_bytes && (first == 0 || first == 0xffff'ffff)) return true; // no list
        if (first == 0xffff'ffff) return false;
        if (at + 4 < extended_config_bytes && !load(at + 4, second)) return false;
        const auto id = static_cast<std::uint16_t>(first);
        const std::uint32_t room = extended_config_bytes - at;
        const std::uint32_t size = extended_capability_bytes(id, second);
        const std::uint32_t next = first >> 20 & 0xffc;
        visit(listed_capability{static_cast<std::uint16_t>(at), id, static_cast<std::uint16_t>(next),
                                static_cast<std::uint16_t>(size < room ? size : room)});
        at = next;
    }
    return true;
}

/// Where a function keeps its MSI-X table and pending bits.
struct msix_structures {
    std::uint32_t table_bar = 0;
    std::uint32_t table_offset = 0;
    std::uint32_t table_size = 0; ///< bytes; 0: the function has no MSI-X
    std::uint32_t pending_bar = 0;
    std::uint32_t pending_offset = 0;
    std::uint32_t pending_size = 0;
};

/// Finds them by the first MSI-X capability. Nothing is found where the list or the capability makes no sense: then
/// the function has no MSI-X that works.
template <class Load>
[[nodiscard]] constexpr msix_structures find_msix(const Load& load) {
    std::uint32_t at = 0;
    static_cast<void>(walk_capabilities(load, [&](const listed_capability& each) {
        if (at == 0 && each.id == static_cast<std::uint16_t>(cap::msix) && each.size == 12) at = each.offset;
    }));
    std::uint32_t control = 0;
    std::uint32_t table = 0;
    std::uint32_t pending = 0;
    if (at == 0 || !load(at, control) || !load(at + 4, table) || !load(at + 8, pending)) return {};
    if ((table & 7) > 5 || (pending & 7) > 5) return {};
    const std::uint32_t vectors = (control >> 16 & 0x7ff) + 1;
    return {table & 7, table & ~7u, 16 * vectors, pending & 7, pending & ~7u, (vectors + 63) / 64 * 8};
}

} // namespace mediant
