// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/requests.hpp>
#include <mediant/core/result.hpp>
#include <mediant/migration/state.hpp>

#include <linux/vfio.h>

#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

/// The messages of vfio-user as they lie on the wire, after docs/interop/vfio-user.rst in QEMU's source. All
/// integers are in the host's order, and mediant's hosts are little-endian. Nothing on the wire is aligned: structs
/// are copied out and in (load, store), never aliased.
namespace mediant::vfio_user::wire {

static_assert(std::endian::native == std::endian::little);

/// What this implementation speaks; the minor of a connection is the lesser of both sides'.
inline constexpr std::uint16_t major_version = 0;
inline constexpr std::uint16_t minor_version = 2;

enum class command : std::uint16_t {
    version = 1,
    dma_map = 2,
    dma_unmap = 3,
    device_get_info = 4,
    device_get_region_info = 5,
    device_get_region_io_fds = 6,
    device_get_irq_info = 7,
    device_set_irqs = 8,
    region_read = 9,
    region_write = 10,
    dma_read = 11,  ///< server to client
    dma_write = 12, ///< server to client
    device_reset = 13,
    region_write_multi = 15,
    device_feature = 16,
    mig_data_read = 17,
    mig_data_write = 18,
};

/// Bits of header::flags.
inline constexpr std::uint32_t type_mask = 0xf;
inline constexpr std::uint32_t type_command = 0;
inline constexpr std::uint32_t type_reply = 1;
inline constexpr std::uint32_t no_reply = 1u << 4;
inline constexpr std::uint32_t error_flag = 1u << 5;

/// Before every message.
struct header {
    std::uint16_t id;      ///< the sender's; echoed in the reply
    std::uint16_t command; ///< an enum command, or anything that a peer may send
    std::uint32_t size;    ///< of the whole message, this header included
    std::uint32_t flags;
    std::uint32_t error; ///< errno, in a reply with error_flag
};

/// What a reply with error_flag says. What is no errno (1 to MAX_ERRNO of linux/err.h) is EIO: a peer may send anything.
[[nodiscard]] constexpr error error_of(const header& reply) noexcept {
    return reply.error == 0 || reply.error > 4095 ? error::io : error{static_cast<std::int32_t>(reply.error)};
}

/// VERSION both ways; JSON text with its NUL may follow.
struct version {
    std::uint16_t major;
    std::uint16_t minor;
};

/// DMA_MAP; the reply has no payload.
struct dma_map {
    std::uint32_t argsz;
    std::uint32_t flags;
    std::uint64_t offset; ///< in the file that comes with it
    std::uint64_t address;
    std::uint64_t size;
};
inline constexpr std::uint32_t dma_map_read = 1u << 0;
inline constexpr std::uint32_t dma_map_write = 1u << 1;

/// DMA_UNMAP both ways.
struct dma_unmap {
    std::uint32_t argsz;
    std::uint32_t flags;
    std::uint64_t address;
    std::uint64_t size;
};
inline constexpr std::uint32_t dma_unmap_dirty_bitmap = 1u << 0; ///< protocol 0.1
inline constexpr std::uint32_t dma_unmap_all = 1u << 1;          ///< with address and size 0

/// DEVICE_GET_INFO both ways.
struct device_info {
    std::uint32_t argsz;
    std::uint32_t flags; ///< VFIO_DEVICE_FLAGS_*
    std::uint32_t regions;
    std::uint32_t irqs;
};

/// DEVICE_GET_REGION_INFO both ways (struct vfio_region_info); capabilities may follow in the reply.
struct region_info {
    std::uint32_t argsz;
    std::uint32_t flags; ///< VFIO_REGION_INFO_FLAG_*
    std::uint32_t index;
    std::uint32_t cap_offset;
    std::uint64_t size;
    std::uint64_t offset;
};

/// VFIO_REGION_INFO_CAP_SPARSE_MMAP with its header; `areas` of sparse_area follow.
struct sparse_mmap {
    std::uint16_t id;
    std::uint16_t version;
    std::uint32_t next; ///< from the start of the region info, 0 at the end
    std::uint32_t areas;
    std::uint32_t reserved;
};
struct sparse_area {
    std::uint64_t offset;
    std::uint64_t size;
};

/// DEVICE_GET_IRQ_INFO both ways.
struct irq_info {
    std::uint32_t argsz;
    std::uint32_t flags; ///< VFIO_IRQ_INFO_*
    std::uint32_t index;
    std::uint32_t count;
};

/// DEVICE_SET_IRQS; booleans, one byte each, may follow. The reply has no payload.
struct irq_set {
    std::uint32_t argsz;
    std::uint32_t flags; ///< VFIO_IRQ_SET_*
    std::uint32_t index;
    std::uint32_t start;
    std::uint32_t count;
};

/// REGION_READ and REGION_WRITE both ways; data follows in a write and in a read's reply.
struct region_access {
    std::uint64_t offset;
    std::uint32_t region;
    std::uint32_t count;
};

/// DMA_READ and DMA_WRITE both ways; data follows in a write and in a read's reply. The specification gives the count
/// of a write's reply 4 bytes: those are its first.
struct dma_access {
    std::uint64_t address;
    std::uint64_t count;
};

/// DEVICE_GET_REGION_IO_FDS both ways; `count` sub-regions follow in the reply.
struct io_fds {
    std::uint32_t argsz;
    std::uint32_t flags; ///< 0
    std::uint32_t index;
    std::uint32_t count;
};

/// Sub-regions of that. Of an entry it is the array's size by the count that says how long it is; its type is one of
/// these. io_type_shadow is no part of the specification: it is libvfio-user's (docs/ioregionfd.md there), for writes
/// whose value is needed.
inline constexpr std::uint32_t io_type_eventfd = 0;
inline constexpr std::uint32_t io_type_ioregionfd = 1;
inline constexpr std::uint32_t io_type_shadow = 2;
inline constexpr std::uint32_t io_matches = 1u << 0;  ///< KVM_IOEVENTFD_FLAG_DATAMATCH
inline constexpr std::uint32_t io_in_ports = 1u << 1; ///< KVM_IOEVENTFD_FLAG_PIO
struct io_event {
    std::uint64_t offset; ///< within the region
    std::uint64_t size;
    std::uint32_t fd_index; ///< among the descriptors that come along
    std::uint32_t type;
    std::uint32_t flags; ///< io_matches, io_in_ports
    std::uint32_t padding;
    std::uint64_t datamatch;
};
struct io_event_shadow {
    std::uint64_t offset;
    std::uint64_t size;
    std::uint32_t fd_index;
    std::uint32_t type;
    std::uint32_t flags;
    std::uint32_t shadow_fd_index; ///< of a file in which the value is left before the eventfd is signalled
    std::uint64_t shadow_offset;   ///< where in it
    std::uint64_t datamatch;
};

/// REGION_WRITE_MULTI: a count of 64 bits, then so many of these; the reply is the count of writes done.
struct region_write {
    std::uint64_t offset;
    std::uint32_t region;
    std::uint32_t count; ///< at most 8
    std::uint64_t data;  ///< its first bytes
};

/// DEVICE_FEATURE both ways (struct vfio_device_feature); data follows.
struct device_feature {
    std::uint32_t argsz;
    std::uint32_t flags; ///< the feature, and VFIO_DEVICE_FEATURE_GET, SET, PROBE
};
/// DMA_LOGGING_START's data, with ranges behind it, and REPORT's, with the bitmap behind it in the reply.
struct logging_start {
    std::uint64_t page;
    std::uint32_t ranges;
    std::uint32_t reserved;
};
struct logging_range {
    std::uint64_t iova;
    std::uint64_t length;
};
struct logging_report {
    std::uint64_t iova;
    std::uint64_t length;
    std::uint64_t page;
};

/// MIGRATION's data, in the reply: VFIO_MIGRATION_*.
struct migration_flags {
    std::uint64_t flags;
};
/// MIG_DEVICE_STATE's data both ways.
struct migration_state {
    std::uint32_t state;
    std::int32_t data_fd; ///< of no use: MIG_DATA_READ and WRITE are in its place
};
/// MIG_DATA_SIZE's data, in the reply.
struct migration_size {
    std::uint64_t stop_copy_length;
};
inline constexpr std::uint32_t feature_migration_size = 9; ///< VFIO_DEVICE_FEATURE_MIG_DATA_SIZE, since kernel 6.2

/// MIG_DATA_READ both ways, MIG_DATA_WRITE; data follows in a write and in a read's reply.
struct migration_data {
    std::uint32_t argsz;
    std::uint32_t size; ///< of the data
};

/// Behind DMA_UNMAP with dma_unmap_dirty_bitmap (protocol 0.1, struct vfio_bitmap); in the reply the bitmap follows.
struct dirty_bitmap {
    std::uint64_t page;
    std::uint64_t size; ///< bytes
};

template <class T>
inline constexpr bool layout = std::is_trivially_copyable_v<T>&& std::is_standard_layout_v<T>;
static_assert(layout<header> && sizeof(header) == 16);
static_assert(layout<version> && sizeof(version) == 4);
static_assert(layout<dma_map> && sizeof(dma_map) == 32);
static_assert(layout<dma_unmap> && sizeof(dma_unmap) == 24);
static_assert(layout<device_info> && sizeof(device_info) == 16);
static_assert(layout<region_info> && sizeof(region_info) == 32 && sizeof(region_info) == sizeof(vfio_region_info));
static_assert(layout<sparse_mmap> && sizeof(sparse_mmap) == 16 &&
              sizeof(sparse_mmap) == sizeof(vfio_region_info_cap_sparse_mmap));
static_assert(layout<sparse_area> && sizeof(sparse_area) == 16 &&
              sizeof(sparse_area) == sizeof(vfio_region_sparse_mmap_area));
static_assert(layout<irq_info> && sizeof(irq_info) == 16 && sizeof(irq_info) == sizeof(vfio_irq_info));
static_assert(layout<irq_set> && sizeof(irq_set) == 20 && sizeof(irq_set) == sizeof(vfio_irq_set));
static_assert(layout<region_access> && sizeof(region_access) == 16);
static_assert(layout<dma_access> && sizeof(dma_access) == 16);
static_assert(layout<io_fds> && sizeof(io_fds) == 16);
static_assert(layout<io_event> && sizeof(io_event) == 40);
static_assert(layout<io_event_shadow> && sizeof(io_event_shadow) == 48);
static_assert(layout<region_write> && sizeof(region_write) == 24);
static_assert(layout<device_feature> && sizeof(device_feature) == 8);
static_assert(layout<logging_start> && sizeof(logging_start) == 16);
static_assert(layout<logging_range> && sizeof(logging_range) == 16);
static_assert(layout<logging_report> && sizeof(logging_report) == 24);
static_assert(layout<migration_flags> && sizeof(migration_flags) == sizeof(vfio_device_feature_migration));
static_assert(layout<migration_state> && sizeof(migration_state) == sizeof(vfio_device_feature_mig_state));
static_assert(layout<migration_size> && sizeof(migration_size) == 8);
static_assert(layout<migration_data> && sizeof(migration_data) == 8);
static_assert(layout<dirty_bitmap> && sizeof(dirty_bitmap) == 16);

// The core mirrors linux/vfio.h and errno without including them; here it is checked.
static_assert(static_cast<std::uint32_t>(region_flags::read) == VFIO_REGION_INFO_FLAG_READ);
static_assert(static_cast<std::uint32_t>(region_flags::write) == VFIO_REGION_INFO_FLAG_WRITE);
static_assert(static_cast<std::uint32_t>(region_flags::mmap) == VFIO_REGION_INFO_FLAG_MMAP);
static_assert(static_cast<std::uint32_t>(irq_flags::eventfd) == VFIO_IRQ_INFO_EVENTFD);
static_assert(static_cast<std::uint32_t>(irq_flags::maskable) == VFIO_IRQ_INFO_MASKABLE);
static_assert(static_cast<std::uint32_t>(irq_flags::automasked) == VFIO_IRQ_INFO_AUTOMASKED);
static_assert(static_cast<std::uint32_t>(irq_flags::noresize) == VFIO_IRQ_INFO_NORESIZE);
static_assert(static_cast<int>(region_index::config) == VFIO_PCI_CONFIG_REGION_INDEX);
static_assert(fixed_regions == VFIO_PCI_NUM_REGIONS && fixed_irqs == VFIO_PCI_NUM_IRQS);
static_assert(static_cast<int>(mediant::migration_state::error) == VFIO_DEVICE_STATE_ERROR);
static_assert(static_cast<int>(mediant::migration_state::stop) == VFIO_DEVICE_STATE_STOP);
static_assert(static_cast<int>(mediant::migration_state::running) == VFIO_DEVICE_STATE_RUNNING);
static_assert(static_cast<int>(mediant::migration_state::stop_copy) == VFIO_DEVICE_STATE_STOP_COPY);
static_assert(static_cast<int>(mediant::migration_state::resuming) == VFIO_DEVICE_STATE_RESUMING);
static_assert(static_cast<int>(mediant::migration_state::running_p2p) == VFIO_DEVICE_STATE_RUNNING_P2P);
static_assert(migrates_by_stop_copy == VFIO_MIGRATION_STOP_COPY && migrates_with_p2p == VFIO_MIGRATION_P2P);
static_assert(to_errno(error::not_permitted) == EPERM && to_errno(error::not_found) == ENOENT);
static_assert(to_errno(error::io) == EIO && to_errno(error::no_address) == ENXIO && to_errno(error::too_big) == E2BIG);
static_assert(to_errno(error::again) == EAGAIN && to_errno(error::no_memory) == ENOMEM);
static_assert(to_errno(error::denied) == EACCES && to_errno(error::fault) == EFAULT && to_errno(error::busy) == EBUSY);
static_assert(to_errno(error::exists) == EEXIST && to_errno(error::no_device) == ENODEV);
static_assert(to_errno(error::invalid) == EINVAL && to_errno(error::not_a_request) == ENOTTY);
static_assert(to_errno(error::no_space) == ENOSPC && to_errno(error::out_of_range) == ERANGE);
static_assert(to_errno(error::not_supported) == EOPNOTSUPP);

/// Copies a T out of the start of `from`, which has at least sizeof(T) bytes.
template <class T>
    requires layout<T>
[[nodiscard]] inline T load(std::span<const std::byte> from) noexcept {
    T value;
    std::memcpy(&value, from.data(), sizeof value);
    return value;
}

/// Copies `value` to `to` and returns where it ends.
template <class T>
    requires layout<T>
inline std::byte* store(std::byte* to, const T& value) noexcept {
    std::memcpy(to, &value, sizeof value);
    return to + sizeof value;
}

} // namespace mediant::vfio_user::wire
