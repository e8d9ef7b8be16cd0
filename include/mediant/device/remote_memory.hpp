// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

namespace mediant {

/// Memory that cannot be mapped into this process: whoever has it is asked for each transfer, and waited for
/// (map_dma::remote). The answer is the bytes done, in order, and why no more. From which threads it may be called is
/// its owner's to say; never after unmap_dma.
class remote_memory {
public:
    [[nodiscard]] virtual answer read(std::uint64_t iova, std::span<std::byte> to) noexcept = 0;
    [[nodiscard]] virtual answer write(std::uint64_t iova, std::span<const std::byte> from) noexcept = 0;

protected:
    ~remote_memory() = default;
};

} // namespace mediant
