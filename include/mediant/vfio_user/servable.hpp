// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/requests.hpp>
#include <mediant/core/result.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace mediant::vfio_user {

/// What a server needs of a device: the ops and every request. A stack of policies over a lower is one.
///
/// Calls are serialised. Between open() and release(), and only then, come accesses and requests. At the client's
/// end the server unmaps its memory (unmap_dma), disables its interrupts (set_irqs) and then calls release(), after
/// which the device touches none of the memory, whatever it answered before.
template <class D> concept servable = requires(D& device, read_access read, write_access write, region_index region) {
    { device.open() } -> std::same_as<result<void>>;
    {device.release()};
    { device.read(read) } -> std::same_as<answer>;
    { device.write(write) } -> std::same_as<answer>;
    { device.ioctl(get_device_info{}) } -> std::same_as<result<get_device_info::answer>>;
    { device.ioctl(get_region_info{region}) } -> std::same_as<result<get_region_info::answer>>;
    { device.ioctl(get_irq_info{}) } -> std::same_as<result<get_irq_info::answer>>;
    { device.ioctl(set_irqs{}) } -> std::same_as<result<void>>;
    { device.ioctl(reset_device{}) } -> std::same_as<result<void>>;
    { device.ioctl(map_dma{}) } -> std::same_as<result<void>>;
    { device.ioctl(unmap_dma{}) } -> std::same_as<result<void>>;
    { device.ioctl(start_dma_logging{}) } -> std::same_as<result<std::uint64_t>>;
    { device.ioctl(stop_dma_logging{}) } -> std::same_as<result<void>>;
    { device.ioctl(report_dma_logging{}) } -> std::same_as<result<void>>;
    { device.next_area(region, std::uint64_t{}, std::uint64_t{}) } -> std::same_as<range>;
};

/// Has memory behind its regions that a client may map: a file, in which the region begins at 0 or at
/// memory_offset(region). -1: none. A client can map all of the file, whatever areas it was told: nothing that traps may
/// lie in it (lowers: withhold()).
template <class D> concept has_memory_fd = requires(D& device, region_index region) {
    { device.memory_fd(region) } -> std::same_as<int>;
};

/// Has memory that accesses of any width do nothing but copy (as has_blocks of lowers): all of a stretch, or nothing. It
/// stays there until release().
template <class D> concept has_block = requires(D& device, region_index region, std::uint64_t offset) {
    { device.block(region, offset, offset) } -> std::same_as<std::span<std::byte>>;
};

/// Has work of its own to do at times: advance(now) at or after deadline(), in nanoseconds of CLOCK_MONOTONIC.
template <class D> concept has_deadline = requires(D& device, std::uint64_t now) {
    { device.deadline() } -> std::same_as<std::optional<std::uint64_t>>;
    device.advance(now);
};

} // namespace mediant::vfio_user
