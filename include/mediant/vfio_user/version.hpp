// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/result.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>

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
    /// A side that migrates has it: the page size of dirty bitmaps, of which the smaller of both is used.
    std::optional<std::uint64_t> migration_pgsize{};

    friend bool operator==(const capabilities&, const capabilities&) = default;
};

/// The highest max_msg_fds that is believed; more cannot be carried anyway.
inline constexpr std::uint64_t most_announced_fds = 1024;

namespace detail {

/// Takes up what the JSON parser says, piece by piece: no tree of it is made, whose end would need memory.
class capabilities_reader {
public:
    [[nodiscard]] bool good() const noexcept { return good_; }
    [[nodiscard]] const capabilities& found() const noexcept { return found_; }

    // nlohmann's interface of a SAX parser; false ends it.

    bool null() { return other(); }
    bool boolean(bool value) {
        if (skipped_ != 0 || name_ == name::other) return other();
        if (name_ == name::write_multiple)
            found_.write_multiple = value;
        else if (name_ == name::supported)
            found_.twin_socket = value;
        else
            return wrong();
        return true;
    }
    bool number_unsigned(std::uint64_t value) {
        constexpr auto any = std::numeric_limits<std::uint64_t>::max();
        if (skipped_ != 0) return true;
        switch (name_) {
        case name::max_msg_fds: return take(value, 0, most_announced_fds, found_.max_msg_fds);
        case name::max_data_xfer_size: return take(value, 0, any, found_.max_data_xfer_size);
        case name::max_dma_maps: return take(value, 0, 0xffff'ffffu, found_.max_dma_maps);
        case name::pgsizes: return take(value, 1, any, found_.pgsizes);
        case name::fd_index: return take(value, 0, most_announced_fds - 1, found_.twin_fd_index.emplace());
        case name::pgsize: return std::has_single_bit(value) ? take(value, 1, any, *found_.migration_pgsize) : wrong();
        default: return other();
        }
    }
    bool number_integer(std::int64_t) { return other(); }
    template <class Text>
    bool number_float(double, const Text&) {
        return other();
    }
    template <class Text>
    bool string(Text&) {
        return other();
    }
    template <class Bytes>
    bool binary(Bytes&) {
        return other();
    }
    template <class Text>
    bool key(Text& text) {
        if (skipped_ == 0) name_ = named(text);
        return true;
    }
    bool start_object(std::size_t) {
        if (skipped_ != 0 || (inside_ != inside::nothing && name_ == name::other)) return ++skipped_, true;
        if (inside_ == inside::nothing) {
            inside_ = inside::text;
        } else if (name_ == name::capabilities) {
            inside_ = inside::all;
            found_ = {};
        } else if (name_ == name::twin_socket) {
            inside_ = inside::twin_socket;
            found_.twin_socket = false;
            found_.twin_fd_index.reset();
        } else if (name_ == name::migration) {
            inside_ = inside::migration;
            found_.migration_pgsize = 4096;
        } else {
            return wrong();
        }
        name_ = name::other;
        return true;
    }
    bool end_object() {
        if (skipped_ != 0) return --skipped_, true;
        inside_ = inside_ == inside::twin_socket || inside_ == inside::migration ? inside::all
                  : inside_ == inside::all                                       ? inside::text
                                                                                 : inside::nothing;
        name_ = name::other;
        return true;
    }
    bool start_array(std::size_t) { return other() && (++skipped_, true); }
    bool end_array() { return --skipped_, true; }
    template <class Error>
    bool parse_error(std::size_t, const std::string&, const Error&) {
        return wrong();
    }

private:
    enum class inside : std::uint8_t { nothing, text, all, twin_socket, migration };
    enum class name : std::uint8_t {
        other,
        capabilities,
        max_msg_fds,
        max_data_xfer_size,
        max_dma_maps,
        pgsizes,
        write_multiple,
        twin_socket,
        migration,
        supported,
        fd_index,
        pgsize
    };

    [[nodiscard]] name named(std::string_view text) const noexcept {
        struct known {
            inside where;
            std::string_view text;
            name is;
        };
        static constexpr std::array all{
            known{inside::text, "capabilities", name::capabilities},
            known{inside::all, "max_msg_fds", name::max_msg_fds},
            known{inside::all, "max_data_xfer_size", name::max_data_xfer_size},
            known{inside::all, "max_dma_maps", name::max_dma_maps},
            known{inside::all, "pgsizes", name::pgsizes},
            known{inside::all, "write_multiple", name::write_multiple},
            known{inside::all, "twin_socket", name::twin_socket},
            known{inside::all, "migration", name::migration},
            known{inside::twin_socket, "supported", name::supported},
            known{inside::twin_socket, "fd_index", name::fd_index},
            known{inside::migration, "pgsize", name::pgsize},
        };
        for (const known& each : all)
            if (each.where == inside_ && each.text == text) return each.is;
        return name::other;
    }

    template <class Integer>
    [[nodiscard]] bool take(std::uint64_t value, std::uint64_t least, std::uint64_t most, Integer& to) noexcept {
        if (value < least || value > most) return wrong();
        to = static_cast<Integer>(value);
        return true;
    }
    /// A value that is no good for a name that is known, or for the whole.
    [[nodiscard]] bool other() noexcept {
        return skipped_ != 0 || (inside_ != inside::nothing && name_ == name::other) || wrong();
    }
    [[nodiscard]] bool wrong() noexcept { return good_ = false; }

    capabilities found_;
    inside inside_ = inside::nothing;
    name name_ = name::other;
    std::size_t skipped_ = 0; // how deep it is in what is not known
    bool good_ = true;
};

} // namespace detail

/// Reads what follows the version numbers: nothing, or JSON text and its NUL. What is unknown is skipped; what is
/// known and wrong (a type, a range) is error::invalid, as are a missing NUL and broken JSON. Throws nothing but
/// for want of memory.
[[nodiscard]] inline result<capabilities> parse_capabilities(std::span<const std::byte> data) {
    if (data.empty()) return capabilities{};
    if (data.back() != std::byte{0}) return error::invalid;
    std::string_view text{reinterpret_cast<const char*>(data.data()), data.size()};
    while (!text.empty() && text.back() == '\0') text.remove_suffix(1); // some may fill up with them
    if (text.find('\0') != text.npos) return error::invalid;            // which the parser would take for the end
    detail::capabilities_reader reader;
    if (!nlohmann::json::sax_parse(text, &reader) || !reader.good()) return error::invalid;
    return reader.found();
}

/// Room that write_capabilities() needs at most.
inline constexpr std::size_t capabilities_room = 320;

/// Writes the JSON text with its NUL to `to`, of at least capabilities_room bytes, and returns its size.
[[nodiscard]] inline std::size_t write_capabilities(std::span<char, capabilities_room> to, const capabilities& what) {
    std::array<char, 64> twin{};
    if (what.twin_fd_index)
        std::snprintf(twin.data(), twin.size(), R"(,"twin_socket":{"supported":%s,"fd_index":%u})",
                      what.twin_socket ? "true" : "false", *what.twin_fd_index);
    else if (what.twin_socket)
        std::snprintf(twin.data(), twin.size(), R"(,"twin_socket":{"supported":true})");
    std::array<char, 64> migration{};
    if (what.migration_pgsize)
        std::snprintf(migration.data(), migration.size(), R"(,"migration":{"pgsize":%llu})",
                      static_cast<unsigned long long>(*what.migration_pgsize));
    const int length = std::snprintf(
        to.data(), to.size(),
        R"({"capabilities":{"max_msg_fds":%u,"max_data_xfer_size":%llu,"max_dma_maps":%u,"pgsizes":%llu%s%s%s}})",
        what.max_msg_fds, static_cast<unsigned long long>(what.max_data_xfer_size), what.max_dma_maps,
        static_cast<unsigned long long>(what.pgsizes), what.write_multiple ? R"(,"write_multiple":true)" : "",
        twin.data(), migration.data());
    return std::min(static_cast<std::size_t>(std::max(length, 0)) + 1, to.size());
}

} // namespace mediant::vfio_user
