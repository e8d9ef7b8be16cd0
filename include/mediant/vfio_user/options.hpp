// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include <sys/types.h>

namespace mediant::vfio_user {

/// The most descriptors that Linux carries in one send (SCM_MAX_FD).
inline constexpr std::uint32_t most_fds = 253;

/// Where a server listens, and the limits that bound what a connection can make it hold or do. Memory a connection:
/// about 2 * (max_data_xfer + 64 KiB), touched only as far as it is used, and 100 bytes for each DMA map.
struct server_options {
    std::string path{}; ///< of the socket; a stale socket file there is replaced, anything else is not
    /// Who may connect: the socket file's permissions and owner, from its first moment on. None: by umask, and ours.
    std::optional<mode_t> mode{};
    std::optional<uid_t> owner{};
    std::optional<gid_t> group{};
    /// A socket that listens already, of somebody who started us (systemd, say); instead of `path`. It becomes ours.
    int listen_fd = -1;

    std::uint32_t max_data_xfer = 1u << 20; ///< bytes in one REGION_READ or WRITE, at least 64 KiB is used
    std::uint32_t max_msg_fds = 16;         ///< descriptors in one message, at most most_fds
    std::uint32_t max_dma_maps = 8192;      ///< DMA maps at a time
    std::uint32_t max_regions = 64;         ///< of the device; more are not shown
    std::uint32_t max_version_data = 16384; ///< bytes of JSON in VERSION
    int backlog = 4;                        ///< clients that wait while one is served

    /// How long a client may take until its VERSION is complete, while others wait; 0: for ever.
    std::chrono::milliseconds handshake_timeout{5000};
};

} // namespace mediant::vfio_user
