// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/device/log.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include <sys/types.h>

namespace mediant::vfio_user {

/// The most descriptors that Linux carries in one send (SCM_MAX_FD).
inline constexpr std::uint32_t most_fds = 253;

/// How DMA_READ and DMA_WRITE are laid out. Nothing in an agreement tells.
enum class dma_layout : std::uint8_t {
    specification, ///< a count of 8 bytes, and data behind it
    /// As VFIOUserDMARW in sources of QEMU's client before 11.1.3, which follows the specification: a count of 4 bytes and
    /// data right behind it, in a message as long as the specification's.
    short_count,
};

/// Where a server listens, and the limits that bound what a connection can make it hold or do. Memory a connection:
/// about 2 * (max_data_xfer + max_queued), touched only as far as it is used, half as much again where the device does
/// DMA by messages on the main socket, and 100 bytes for each DMA map.
struct server_options {
    std::string path{}; ///< of the socket; a stale socket file there is replaced, anything else is not
    /// Who may connect: the socket file's permissions and owner, from its first moment on. None: by umask, and ours.
    std::optional<mode_t> mode{};
    std::optional<uid_t> owner{};
    std::optional<gid_t> group{};
    /// A socket that listens already, of somebody who started us (systemd, say); instead of `path`. It becomes ours.
    int listen_fd = -1;

    std::uint32_t max_data_xfer = 1u << 20; ///< bytes in one REGION_READ or WRITE, at least 64 KiB is used
    std::uint32_t max_queued = 64 * 1024;   ///< bytes of messages that wait beside one; at least 64 KiB is used
    std::uint32_t max_msg_fds = 16;         ///< descriptors in one message, at most most_fds
    std::uint32_t max_dma_maps = 8192;      ///< DMA maps at a time
    /// Bytes of a client's shared memory that are mapped at a time. Address space is what the clients of a process have
    /// in common: 128 TiB, and one that took all of it would stop the others.
    std::uint64_t max_dma_bytes = std::uint64_t{1} << 42;
    /// DMA_MAP takes only files that are memory: of memfd_create(2), a tmpfs or a hugetlbfs; others are EPERM, and a line
    /// in the log. To touch another may wait for whom it is from, a client's own file system (FUSE) for one, which holds
    /// the loop for as long as it likes. So it is to be for clients that are not trusted; those of QEMU share memory of
    /// memory-backend-memfd, or memory-backend-file with share=on and a mem-path in /dev/shm or on a hugetlbfs.
    bool memory_files_only = false;
    std::uint32_t max_regions = 64;         ///< of the device; more are not shown
    std::uint32_t max_version_data = 16384; ///< bytes of JSON in VERSION
    int backlog = 4;                        ///< clients that wait while one is served

    /// How long a client may take until its VERSION is complete, while others wait; 0: for ever.
    std::chrono::milliseconds handshake_timeout{5000};

    /// DMA to memory that a client does not share goes by messages to it (DMA_READ, DMA_WRITE), for which the device
    /// waits, and with it every device of its loop. How long one read or write of a device may take; while an answer is
    /// overdue the others fail at once. 0: such memory cannot be reached.
    std::chrono::milliseconds dma_timeout{1000};
    /// How long all those of a client's device may take for one event of the loop, however many they are and however
    /// well timed the answers; what is more fails (error::busy) until the next. A turn of the loop has a few of a
    /// client at most: its messages, its eventfds, the device's deadline, and what was left of an earlier turn. Other
    /// threads of the device have dma_timeout alone.
    std::chrono::milliseconds dma_budget{1000};
    /// Of those messages on the main socket; clients with a twin socket follow the specification.
    vfio_user::dma_layout dma_layout = vfio_user::dma_layout::specification;
    /// Gives clients that know of it a socket of its own for those messages.
    bool twin_socket = true;

    /// Gets lines about what clients are refused, of which they are told by an errno alone; none: standard error.
    device::log_sink log{};
};

} // namespace mediant::vfio_user
