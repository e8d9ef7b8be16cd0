// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

/// Messages of vfio-user put together by hand: the suite shares no definition of the wire with what it tests. Names and
/// layouts are those of docs/interop/vfio-user.rst and linux/vfio.h; all is little-endian.
namespace wire_conformance {

using bytes = std::vector<std::uint8_t>;

inline bytes operator+(bytes first, const bytes& second) {
    first.insert(first.end(), second.begin(), second.end());
    return first;
}

template <class... Integers>
[[nodiscard]] bytes pack(Integers... values) {
    bytes made(sizeof...(values) == 0 ? 0 : (sizeof(values) + ... + 0));
    std::size_t at = 0;
    ((std::memcpy(made.data() + at, &values, sizeof values), at += sizeof values), ...);
    return made;
}
[[nodiscard]] constexpr std::uint16_t u16(std::uint64_t value) { return static_cast<std::uint16_t>(value); }
[[nodiscard]] constexpr std::uint32_t u32(std::uint64_t value) { return static_cast<std::uint32_t>(value); }
[[nodiscard]] constexpr std::uint64_t u64(std::uint64_t value) { return value; }

/// The integer at `offset`; 0 where the bytes end before it.
template <class Integer>
[[nodiscard]] Integer at(const bytes& from, std::size_t offset) {
    Integer value{};
    if (offset + sizeof value <= from.size()) std::memcpy(&value, from.data() + offset, sizeof value);
    return value;
}

enum command : std::uint16_t {
    version = 1,
    dma_map = 2,
    dma_unmap = 3,
    get_info = 4,
    get_region_info = 5,
    get_region_io_fds = 6,
    get_irq_info = 7,
    set_irqs = 8,
    region_read = 9,
    region_write = 10,
    dma_read = 11,
    dma_write = 12,
    device_reset = 13,
    write_multi = 15,
    device_feature = 16,
    mig_data_read = 17,
    mig_data_write = 18,
};

inline constexpr std::size_t header_size = 16;
inline constexpr std::uint32_t type_reply = 1;
inline constexpr std::uint32_t no_reply = 1u << 4;
inline constexpr std::uint32_t error_flag = 1u << 5;

/// A whole message; its ID is put in when it is sent.
[[nodiscard]] inline bytes message(std::uint16_t what, const bytes& payload = {}, std::uint32_t flags = 0) {
    return pack(u16(0), what, u32(header_size + payload.size()), flags, u32(0)) + payload;
}
inline void set_id(bytes& whole, std::uint16_t id) { std::memcpy(whole.data(), &id, sizeof id); }
inline void set_size(bytes& whole, std::uint32_t size) { std::memcpy(whole.data() + 4, &size, sizeof size); }
/// The message with a payload of `size` bytes, cut or filled up with zeros, that says so.
[[nodiscard]] inline bytes resized(bytes whole, std::size_t size) {
    whole.resize(header_size + size);
    set_size(whole, u32(whole.size()));
    return whole;
}

// Messages as a client sends them.

[[nodiscard]] inline bytes version_of(std::string_view text, std::uint16_t minor = 2, std::uint16_t major = 0) {
    bytes payload = pack(major, minor) + bytes(text.begin(), text.end());
    if (!text.empty()) payload.push_back(0);
    return message(version, payload);
}
[[nodiscard]] inline bytes info_of(std::uint32_t argsz = 16) {
    return message(get_info, pack(argsz, u32(0), u32(0), u32(0)));
}
[[nodiscard]] inline bytes map_of(std::uint64_t address, std::uint64_t size, std::uint32_t flags = 3,
                                  std::uint64_t offset = 0, std::uint32_t argsz = 32) {
    return message(dma_map, pack(argsz, flags, offset, address, size));
}
[[nodiscard]] inline bytes unmap_of(std::uint64_t address, std::uint64_t size, std::uint32_t flags = 0,
                                    std::uint32_t argsz = 24) {
    return message(dma_unmap, pack(argsz, flags, address, size));
}
[[nodiscard]] inline bytes region_info_of(std::uint32_t index, std::uint32_t argsz = 32) {
    return message(get_region_info, pack(argsz, u32(0), index, u32(0), u64(0), u64(0)));
}
[[nodiscard]] inline bytes io_fds_of(std::uint32_t index, std::uint32_t argsz = 4096, std::uint32_t flags = 0) {
    return message(get_region_io_fds, pack(argsz, flags, index, u32(0)));
}
[[nodiscard]] inline bytes irq_info_of(std::uint32_t index, std::uint32_t argsz = 16) {
    return message(get_irq_info, pack(argsz, u32(0), index, u32(0)));
}

/// Flags of DEVICE_SET_IRQS.
inline constexpr std::uint32_t none = 1, bools = 2, eventfds = 4, mask = 8, unmask = 16, trigger = 32;
[[nodiscard]] inline bytes irqs_of(std::uint32_t flags, std::uint32_t index, std::uint32_t start, std::uint32_t count,
                                   const bytes& data = {}) {
    return message(set_irqs, pack(u32(20 + data.size()), flags, index, start, count) + data);
}

inline constexpr std::uint32_t config_region = 7;
[[nodiscard]] inline bytes read_of(std::uint64_t offset, std::uint32_t count, std::uint32_t region = config_region) {
    return message(region_read, pack(offset, region, count));
}
[[nodiscard]] inline bytes write_of(std::uint64_t offset, const bytes& data, std::uint32_t region = config_region,
                                    std::uint32_t flags = 0) {
    return message(region_write, pack(offset, region, u32(data.size())) + data, flags);
}
[[nodiscard]] inline bytes multi_of(std::uint64_t count, const bytes& writes) {
    return message(write_multi, pack(count) + writes);
}
[[nodiscard]] inline bytes one_write(std::uint64_t offset, std::uint32_t count, std::uint64_t data,
                                     std::uint32_t region = config_region) {
    return pack(offset, region, count, data);
}

/// Flags of DEVICE_FEATURE, and the features there are.
inline constexpr std::uint32_t feature_get = 1u << 16, feature_set = 1u << 17, feature_probe = 1u << 18;
inline constexpr std::uint32_t migration = 1, device_state = 2, logging_start = 6, logging_stop = 7, logging_report = 8;
[[nodiscard]] inline bytes feature_of(std::uint32_t flags, const bytes& data = {}, std::uint32_t argsz = 0) {
    return message(device_feature, pack(argsz != 0 ? argsz : u32(8 + data.size()), flags) + data);
}

} // namespace wire_conformance
