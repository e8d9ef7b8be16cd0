// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>

#include <cstdint>

namespace mediant {

/// How a user may tell of a write to a register without an access, where a back end and its client can (vfio-user's
/// GET_REGION_IO_FDS): by an eventfd, which KVM signals by itself when a guest writes there. Such writes overtake
/// accesses and each other, and several may come as one: that is for registers that say "look", and whose last value is
/// what counts.
enum class doorbell : std::uint8_t {
    none,    ///< no way but an access
    any,     ///< any write of the register's width; the value is lost, and the register is written 0
    matched, ///< a write of one value
    valued,  ///< any write of that width; the value lies in memory that is shared for that, and the last one is written
};

/// One register that may be written so.
struct doorbell_write {
    range where;
    doorbell how;
    std::uint64_t value; ///< that rings, of doorbell::matched; else 0
};

} // namespace mediant
