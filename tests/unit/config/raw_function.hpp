// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/little_endian.hpp>
#include <mediant/core/lower.hpp>
#include <mediant/core/requests.hpp>
#include <mediant/pci/capability_list.hpp>
#include <mediant/provider/stack.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace mediant::test {

/// A PCI function whose config space holds whatever a test puts there, sound or not. BARs are memory that can be
/// mapped; byte i of BAR n is at first i * 7 + n.
struct raw_function {
    std::array<std::byte, 4096> bytes{};
    std::array<std::byte, 4096> writable{};
    std::uint64_t config_size = 4096;
    std::array<std::vector<std::byte>, 7> memory{};
    std::array<std::uint64_t, 7> sizes{};
    std::vector<config_range> stores{}; ///< writes of config space that arrived
    std::string logged{};

    void put(std::uint32_t offset, unsigned width, std::uint64_t value, std::uint64_t can_be_written = 0) {
        store_little(std::span{bytes}.subspan(offset, width), value);
        store_little(std::span{writable}.subspan(offset, width), can_be_written);
    }
    [[nodiscard]] std::uint64_t get(std::uint32_t offset, unsigned width) const {
        return load_little(std::span{bytes}.subspan(offset, width));
    }

    /// A BAR with its register; 0x4 among the flags makes it 64 bits wide.
    void bar(std::uint32_t number, std::uint64_t size, std::uint32_t flags = 0) {
        sizes[number] = size;
        const std::uint64_t low = (flags & 1) != 0 ? 0x3 : 0xf;
        put(number == 6 ? 0x30 : 0x10 + 4 * number, (flags & 7) == 4 ? 8 : 4, flags, ~(size - 1) & ~low);
        if (size > 1_MiB) return; // too large for a test to hold
        memory[number].resize(static_cast<std::size_t>(size));
        for (std::size_t i = 0; i < memory[number].size(); ++i)
            memory[number][i] = static_cast<std::byte>(i * 7 + number);
    }

    /// Capabilities at these offsets, linked in this order.
    struct capability {
        std::uint32_t offset;
        std::uint32_t id;
    };
    void list(const std::vector<capability>& all) {
        put(0x06, 2, all.empty() ? 0 : 0x0010);
        std::uint32_t pointer = 0x34;
        for (const capability& each : all) {
            put(pointer, 1, each.offset);
            put(each.offset, 1, each.id);
            pointer = each.offset + 1;
        }
        put(pointer, 1, 0);
    }
    void extended_list(const std::vector<capability>& all) {
        for (std::size_t i = 0; i < all.size(); ++i)
            put(all[i].offset, 4, all[i].id | 1u << 16 | (i + 1 < all.size() ? all[i + 1].offset : 0u) << 20);
    }

    // The lower.

    [[nodiscard]] unsigned max_access() const { return 4; }
    result<std::uint64_t> load(region_index region, std::uint64_t offset, unsigned width) const {
        if (region == region_index::config) {
            if (!fits(offset, width, config_size)) return error::fault;
            return get(static_cast<std::uint32_t>(offset), width);
        }
        const auto& all = memory.at(static_cast<std::size_t>(region));
        if (!fits(offset, width, all.size())) return error::invalid;
        return load_little(std::span{all}.subspan(static_cast<std::size_t>(offset), width));
    }
    result<void> store(region_index region, std::uint64_t offset, unsigned width, std::uint64_t value) {
        if (region == region_index::config) {
            if (!fits(offset, width, config_size)) return error::fault;
            stores.push_back({static_cast<std::uint16_t>(offset), static_cast<std::uint16_t>(width)});
            for (unsigned i = 0; i < width; ++i, value >>= 8) {
                const auto at = static_cast<std::size_t>(offset) + i;
                bytes[at] = (bytes[at] & ~writable[at]) | (static_cast<std::byte>(value) & writable[at]);
            }
            return {};
        }
        auto& all = memory.at(static_cast<std::size_t>(region));
        if (!fits(offset, width, all.size())) return error::invalid;
        store_little(std::span{all}.subspan(static_cast<std::size_t>(offset), width), value);
        return {};
    }
    [[nodiscard]] result<get_region_info::answer> ioctl(const get_region_info& what) const {
        const auto rw = region_flags::read | region_flags::write;
        if (what.region == region_index::config) return get_region_info::answer{config_size, rw};
        if (what.region > region_index::rom) return error::invalid;
        const std::uint64_t size = sizes[static_cast<std::size_t>(what.region)];
        return size == 0 ? get_region_info::answer{} : get_region_info::answer{size, rw | region_flags::mmap};
    }
    [[nodiscard]] result<void> ioctl(const reset_device&) const { return {}; }
    void log(const char* text) { logged = text; }
};

template <class Front>
[[nodiscard]] std::uint64_t get(Front& front, std::uint64_t offset, std::size_t width,
                                region_index region = region_index::config) {
    std::array<std::byte, 8> bytes{};
    const answer done = front.read({region, offset, std::span{bytes}.first(width)});
    return done == answer{width} ? load_little(std::span{bytes}.first(width)) : ~std::uint64_t{0xbad};
}
template <class Front>
[[nodiscard]] bool put(Front& front, std::uint64_t offset, std::uint64_t value, std::size_t width,
                       region_index region = region_index::config) {
    std::array<std::byte, 8> bytes{};
    store_little(std::span{bytes}.first(width), value);
    return front.write({region, offset, std::span{bytes}.first(width)}) == answer{width};
}

/// The capabilities that a user finds: offsets and IDs. An entry {0, 0xbad} stands for a list that is broken.
template <class Front>
[[nodiscard]] std::vector<std::pair<unsigned, unsigned>> seen_list(Front& front, bool extended = false) {
    std::vector<std::pair<unsigned, unsigned>> out;
    const auto load = [&front](std::uint32_t offset, std::uint32_t& dword) {
        std::array<std::byte, 4> bytes{};
        if (front.read({region_index::config, offset, bytes}) != answer{4}) return false;
        dword = static_cast<std::uint32_t>(load_little(bytes));
        return true;
    };
    const auto visit = [&out](const listed_capability& each) { out.emplace_back(each.offset, each.id); };
    const bool whole = extended ? walk_extended_capabilities(load, visit) : walk_capabilities(load, visit);
    if (!whole) out.emplace_back(0, 0xbad);
    return out;
}
using listing = std::vector<std::pair<unsigned, unsigned>>;

} // namespace mediant::test
