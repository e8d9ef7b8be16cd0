// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/result.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <optional>
#include <span>

namespace mediant::vfio_user {

/// The capabilities of VERSION's JSON. Defaults are what the specification assumes where a peer does not say.
struct capabilities {
    std::uint32_t max_msg_fds = 1;               ///< descriptors that the sender takes in one message
    std::uint64_t max_data_xfer_size = 1u << 20; ///< bytes in one data transfer
    std::uint32_t max_dma_maps = 65535;
    std::uint64_t pgsizes = 4096; ///< page sizes of DMA maps, or'ed
    bool write_multiple = false;
    bool twin_socket = false;
    /// In the server's reply: which of its descriptors is the client's end of the twin socket.
    std::optional<std::uint32_t> twin_fd_index{};

    friend bool operator==(const capabilities&, const capabilities&) = default;
};

/// The highest max_msg_fds that is believed; more cannot be carried anyway.
inline constexpr std::uint64_t most_announced_fds = 1024;

namespace detail {

/// Reads object[name] into `to` if it is there; false where it is no integer of [least, most].
template <class Integer>
[[nodiscard]] bool read_integer(const nlohmann::json& object, const char* name, std::uint64_t least, std::uint64_t most,
                                Integer& to) {
    const auto found = object.find(name);
    if (found == object.end()) return true;
    const auto* const value = found->get_ptr<const nlohmann::json::number_unsigned_t*>();
    if (value == nullptr || *value < least || *value > most) return false;
    to = static_cast<Integer>(*value);
    return true;
}

/// Reads object[name] into `to` if it is there; false where it is no boolean.
[[nodiscard]] inline bool read_boolean(const nlohmann::json& object, const char* name, bool& to) {
    const auto found = object.find(name);
    if (found == object.end()) return true;
    const auto* const value = found->get_ptr<const nlohmann::json::boolean_t*>();
    if (value == nullptr) return false;
    to = *value;
    return true;
}

} // namespace detail

/// Reads what follows the version numbers: nothing, or JSON text and its NUL. What is unknown is skipped; what is
/// known and wrong (a type, a range) is error::invalid, as are a missing NUL and broken JSON. Throws nothing but
/// for want of memory.
[[nodiscard]] inline result<capabilities> parse_capabilities(std::span<const std::byte> data) {
    capabilities found;
    if (data.empty()) return found;
    if (data.back() != std::byte{0}) return error::invalid;
    const auto* const text = reinterpret_cast<const char*>(data.data());
    const auto json = nlohmann::json::parse(text, text + data.size() - 1, nullptr, false);
    if (!json.is_object()) return error::invalid; // also what could not be parsed
    const auto all = json.find("capabilities");
    if (all == json.end()) return found;
    if (!all->is_object()) return error::invalid;

    constexpr auto any = std::numeric_limits<std::uint64_t>::max();
    bool good = detail::read_integer(*all, "max_msg_fds", 0, most_announced_fds, found.max_msg_fds) &&
                detail::read_integer(*all, "max_data_xfer_size", 0, any, found.max_data_xfer_size) &&
                detail::read_integer(*all, "max_dma_maps", 0, 0xffff'ffffu, found.max_dma_maps) &&
                detail::read_integer(*all, "pgsizes", 1, any, found.pgsizes) &&
                detail::read_boolean(*all, "write_multiple", found.write_multiple);
    if (const auto twin = all->find("twin_socket"); good && twin != all->end()) {
        std::uint32_t index = 0;
        good = twin->is_object() && detail::read_boolean(*twin, "supported", found.twin_socket) &&
               detail::read_integer(*twin, "fd_index", 0, most_announced_fds - 1, index);
        if (good && twin->contains("fd_index")) found.twin_fd_index = index;
    }
    if (const auto migration = all->find("migration"); good && migration != all->end()) { // protocol 0.1
        std::uint64_t size = 4096;
        good = migration->is_object() && detail::read_integer(*migration, "pgsize", 1, any, size) &&
               (size & (size - 1)) == 0;
    }
    if (!good) return error::invalid;
    return found;
}

/// Room that write_capabilities() needs at most.
inline constexpr std::size_t capabilities_room = 256;

/// Writes the JSON text with its NUL to `to`, of at least capabilities_room bytes, and returns its size.
[[nodiscard]] inline std::size_t write_capabilities(std::span<char, capabilities_room> to, const capabilities& what) {
    std::array<char, 64> twin{};
    if (what.twin_fd_index)
        std::snprintf(twin.data(), twin.size(), R"(,"twin_socket":{"supported":%s,"fd_index":%u})",
                      what.twin_socket ? "true" : "false", *what.twin_fd_index);
    else if (what.twin_socket)
        std::snprintf(twin.data(), twin.size(), R"(,"twin_socket":{"supported":true})");
    const int length = std::snprintf(
        to.data(), to.size(),
        R"({"capabilities":{"max_msg_fds":%u,"max_data_xfer_size":%llu,"max_dma_maps":%u,"pgsizes":%llu%s%s}})",
        what.max_msg_fds, static_cast<unsigned long long>(what.max_data_xfer_size), what.max_dma_maps,
        static_cast<unsigned long long>(what.pgsizes), what.write_multiple ? R"(,"write_multiple":true)" : "",
        twin.data());
    return std::min(static_cast<std::size_t>(std::max(length, 0)) + 1, to.size());
}

} // namespace mediant::vfio_user
