// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "by_hand.hpp"

#include <cstdint>
#include <cstring>

/// Messages for tests, right ones and such as are cut or grown.
namespace vfio_user_test {

inline constexpr auto r32 = [](region_index index) { return static_cast<std::uint32_t>(index); };

inline bytes map_of(std::uint64_t address, std::uint64_t size, std::uint32_t flags = 3, std::uint64_t offset = 0,
                    std::uint32_t argsz = 32) {
    return message_of(wire::command::dma_map, wire::dma_map{argsz, flags, offset, address, size});
}
inline bytes unmap_of(std::uint64_t address, std::uint64_t size, std::uint32_t flags = 0, std::uint32_t argsz = 24) {
    return message_of(wire::command::dma_unmap, wire::dma_unmap{argsz, flags, address, size});
}
inline bytes region_info_of(std::uint32_t index, std::uint32_t argsz = 32) {
    return message_of(wire::command::device_get_region_info, wire::region_info{argsz, 0, index, 0, 0, 0});
}
inline bytes irqs_of(std::uint32_t flags, std::uint32_t index, std::uint32_t start, std::uint32_t count,
                     const bytes& data = {}, std::uint32_t argsz = 0) {
    return message_of(
        wire::command::device_set_irqs,
        wire::irq_set{argsz != 0 ? argsz : static_cast<std::uint32_t>(20 + data.size()), flags, index, start, count},
        data);
}
inline bytes cut(bytes whole, std::size_t size) { // to a shorter message that says so
    whole.resize(size);
    const auto length = static_cast<std::uint32_t>(size);
    std::memcpy(whole.data() + 4, &length, sizeof length);
    return whole;
}
inline bytes grown(bytes whole, std::size_t more) {
    const auto size = whole.size() + more;
    whole.resize(size);
    const auto length = static_cast<std::uint32_t>(size);
    std::memcpy(whole.data() + 4, &length, sizeof length);
    return whole;
}

} // namespace vfio_user_test
