// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/doorbell.hpp>
#include <mediant/core/requests.hpp>
#include <mediant/core/result.hpp>
#include <mediant/migration/state.hpp>

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
///
/// An unmap_dma that must wait for threads of the device does not: it answers error::again, and is asked again, while
/// other devices are served. At the client's end it is asked until it has let go (error::busy will not do). What a
/// device throws is an error of the client's command (ENOMEM, EIO), in advance() the end of the connection; release()
/// must not throw.
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
/// lie in it (lowers: withhold(), and what `rereads` says).
template <class D> concept has_memory_fd = requires(D& device, region_index region) {
    { device.memory_fd(region) } -> std::same_as<int>;
};

/// Has parts that can be mapped at one time and not at another. reread(region) comes before a client that takes
/// descriptors is told of them: false where it may map nothing. The client learns of a change by the interrupt
/// irq_index::regions_changed, which masks itself; it asks for region info again, unmaps what is not among it any more, and
/// unmasks the interrupt, by which it says so.
template <class D> concept rereads = requires(D& device, region_index region) {
    { device.reread(region) } -> std::same_as<bool>;
};

/// Has memory that accesses of any width do nothing but copy (as has_blocks of lowers): all of a stretch, or nothing. It
/// stays there until release().
template <class D> concept has_block = requires(D& device, region_index region, std::uint64_t offset) {
    { device.block(region, offset, offset) } -> std::same_as<std::span<std::byte>>;
};

/// Says which writes may be told by eventfds (core/doorbell.hpp), as long as it is open. They come as write(), of a whole
/// register.
template <class D> concept has_doorbells = requires(const D& device, region_index region) {
    device.each_doorbell(region, [](const doorbell_write&) {});
};

/// Can be migrated, as VFIO has it (version 2 in linux/vfio.h). migration_flags() says which states there are, 0 where
/// this one cannot be after all. migrate() leads to a state, by whatever states lie between, and has done so when it
/// returns; an error leaves it as it was or in migration_state::error, of which a reset is the end. Its data is one
/// stream, read while it saves and written while it resumes; a read of fewer bytes than were asked for is the last.
/// migration_size(): about how many bytes stop_copy will have. A release() ends a migration: who opens next finds it
/// running.
///
/// migrate() is asked for states that the flags name and never for error; reads and writes come in the right states.
template <class D>
concept migratable = requires(D& device, migration_state state, std::span<std::byte> to,
                              std::span<const std::byte> from) {
    { device.migration_flags() } -> std::same_as<std::uint64_t>;
    { device.migration() } -> std::same_as<migration_state>;
    { device.migrate(state) } -> std::same_as<result<void>>;
    { device.read_migration(to) } -> std::same_as<result<std::size_t>>;
    { device.write_migration(from) } -> std::same_as<result<void>>;
    { device.migration_size() } -> std::same_as<result<std::uint64_t>>;
};

/// Has work of its own to do at times: advance(now) at or after deadline(), in nanoseconds of CLOCK_MONOTONIC.
template <class D> concept has_deadline = requires(D& device, std::uint64_t now) {
    { device.deadline() } -> std::same_as<std::optional<std::uint64_t>>;
    device.advance(now);
};

} // namespace mediant::vfio_user
