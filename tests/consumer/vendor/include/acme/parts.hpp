// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

namespace acme {

/// What the anvil's identification register answers: "ANVL".
inline constexpr std::uint32_t anvil_magic = 0x4c56'4e41;

} // namespace acme
