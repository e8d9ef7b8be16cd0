// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

/// The states of a device that migrates, as VFIO has them (enum vfio_device_mig_state in linux/vfio.h, version 2).
namespace mediant {

enum class migration_state : std::uint32_t {
    error,        ///< failed: only a reset leads out
    stop,         ///< changes nothing, inside or outside
    running,
    stop_copy,    ///< stopped, and its state can be read
    resuming,     ///< stopped, and takes a state
    running_p2p,  ///< runs, but begins no transfers to other devices
    pre_copy,     ///< runs, and its state can be read ahead
    pre_copy_p2p,
};

/// Whether its state can be read.
[[nodiscard]] constexpr bool saves(migration_state state) noexcept {
    return state == migration_state::stop_copy || state == migration_state::pre_copy ||
           state == migration_state::pre_copy_p2p;
}

/// VFIO_MIGRATION_*: which states a device has beside error, stop and running.
inline constexpr std::uint64_t migrates_by_stop_copy = 1u << 0; ///< stop_copy and resuming: at least these
inline constexpr std::uint64_t migrates_with_p2p = 1u << 1;
inline constexpr std::uint64_t migrates_with_pre_copy = 1u << 2;

} // namespace mediant
