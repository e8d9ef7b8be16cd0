// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/requests.hpp>
#include <mediant/vfio_user/inbox.hpp>
#include <mediant/vfio_user/region_table.hpp>
#include <mediant/vfio_user/replies.hpp>
#include <mediant/vfio_user/servable.hpp>
#include <mediant/vfio_user/wire.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

/// Long accesses to what is memory (has_block): a read is sent from there, a write received to there, and no byte is
/// copied in between. What a long write has brought is there before all of it has come, and stays where the client
/// goes away amid it.
namespace mediant::vfio_user {

/// Bytes of an access from which on that is worth it.
inline constexpr std::uint32_t least_bulk = 64 * 1024;

/// Where all of an access lies; empty where it is short, or something sees it. The access is valid.
template <servable Device>
[[nodiscard]] std::span<std::byte> bulk_of(Device& device, const wire::region_access& what) {
    if constexpr (has_block<Device>) {
        if (what.count >= least_bulk) return device.block(region_index{what.region}, what.offset, what.count);
    }
    return {};
}

/// Answers a valid REGION_READ so; false, and nothing done, where it cannot be.
template <servable Device>
[[nodiscard]] bool read_bulk(Device& device, replies& out, const message& what, const wire::region_access& access) {
    const std::span<const std::byte> bytes = bulk_of(device, access);
    if (bytes.empty()) return false;
    wire::store(out.tail() + sizeof(wire::header), access);
    out.commit_reply(what, sizeof access, bytes);
    return true;
}

/// Leads a long REGION_WRITE of which the first part has come to its place; answers it, of 0 bytes where it has none.
template <servable Device>
wire::region_access place_bulk(Device& device, const region_table<Device>& regions, std::uint32_t most, inbox& in) {
    constexpr std::size_t fixed = sizeof(wire::header) + sizeof(wire::region_access);
    const std::span<const std::byte> front = in.front();
    if (front.size() < fixed) return {};
    const auto header = wire::load<wire::header>(front);
    const auto access = wire::load<wire::region_access>(front.subspan(sizeof header));
    if ((header.flags & wire::type_mask) != wire::type_command ||
        wire::command{header.command} != wire::command::region_write || header.size != fixed + access.count ||
        !regions.valid(access, most, region_flags::write))
        return {};
    const std::span<std::byte> bytes = bulk_of(device, access);
    if (bytes.empty()) return {};
    in.place(fixed, bytes);
    return access;
}

} // namespace mediant::vfio_user
