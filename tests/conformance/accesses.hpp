// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/little_endian.hpp>
#include <mediant/registers/map.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

/// Random accesses to a device, the same for the same seed on every system.
namespace mediant::conformance {

inline constexpr std::size_t longest = 16;

/// One thing that a user does to a device.
struct operation {
    enum class kind : std::uint8_t { read, write, reset };
    kind what = kind::read;
    region_index region{};
    std::uint64_t offset = 0;
    std::size_t size = 0;                   ///< bytes, at most `longest`
    std::array<std::byte, longest> bytes{}; ///< what is written

    [[nodiscard]] range where() const noexcept { return {offset, size}; }
};

/// A write of a value to BAR 0.
[[nodiscard]] inline operation write_of(std::uint64_t offset, std::size_t width, std::uint64_t value) {
    operation made{operation::kind::write, bar{0}, offset, width, {}};
    store_little(std::span{made.bytes}.first(width), value);
    return made;
}
[[nodiscard]] inline operation read_of(std::uint64_t offset, std::size_t width) {
    return {operation::kind::read, bar{0}, offset, width, {}};
}
/// A write of the COMMAND register: memory on or off, and ports.
[[nodiscard]] inline operation memory(bool enabled, bool ports = false) {
    operation made = write_of(0x04, 2, (enabled ? 0x0002u : 0x0000u) | (ports ? 0x0001u : 0x0000u));
    made.region = region_index::config;
    return made;
}

[[nodiscard]] constexpr bool overlap(range a, range b) noexcept { return a.offset < b.end() && b.offset < a.end(); }

/// What random accesses go to, and what they leave alone.
struct territory {
    std::uint64_t size = 0;           ///< of BAR 0
    std::vector<std::uint64_t> edges; ///< where registers and windows begin and end: most accesses lie around these
    std::vector<range> untouched;     ///< neither read nor written: what changes by itself
    std::vector<range> unwritten;     ///< read only
    std::vector<range> config;        ///< of config space: what every world answers alike
    std::vector<range> shaped_config{}; ///< of config space, written too, as the map of a policy that has one says
    std::vector<range> blind_config{};  ///< likewise, but never read
    std::vector<region_index> others{}; ///< regions beside BAR 0 that such a map adds

    /// Adds the edges of a map.
    template <const auto& Map>
    territory& around() {
        for (const entry& e : Map.entries) {
            edges.push_back(e.offset);
            edges.push_back(e.offset + e.size);
        }
        std::sort(edges.begin(), edges.end());
        edges.erase(std::unique(edges.begin(), edges.end()), edges.end());
        return *this;
    }

    [[nodiscard]] bool allows(const operation& what) const {
        const auto hits = [&](const std::vector<range>& all) {
            return std::any_of(all.begin(), all.end(), [&](range one) { return overlap(one, what.where()); });
        };
        if (what.region != bar{0}) return true;
        return !hits(untouched) && (what.what == operation::kind::read || !hits(unwritten));
    }
};

/// Makes the list. Besides accesses to BAR 0 it has some to regions that are not there, reads of config space, times
/// in which memory is disabled, and four resets.
class generator {
public:
    generator(const territory& where, std::uint64_t seed) : where_{where}, random_{seed} {}

    [[nodiscard]] std::vector<operation> make(std::size_t count) {
        std::vector<operation> all;
        all.reserve(count);
        std::size_t enable_at = 0;
        bool enabled = true;
        while (all.size() < count) {
            if (!enabled && all.size() >= enable_at) {
                all.push_back(memory(enabled = true, ports()));
            } else if (count >= 4 && all.size() % (count / 4) == count / 8) {
                all.push_back({operation::kind::reset, {}, 0, 0, {}});
            } else if (enabled && below(200) == 0) {
                all.push_back(memory(enabled = false, ports()));
                enable_at = all.size() + 1 + below(8);
            } else {
                all.push_back(access());
            }
        }
        if (!enabled) all.back() = memory(true);
        return all;
    }

private:
    // std::mt19937_64 gives the same numbers everywhere; the standard's distributions do not.
    std::uint64_t below(std::uint64_t limit) { return random_() % limit; }

    operation access() {
        operation made;
        do {
            made.what = below(2) == 0 ? operation::kind::read : operation::kind::write;
            made.size = size();
            made.bytes = bytes();
            const std::uint64_t which = below(100);
            if (which >= 60 && !where_.shaped_config.empty()) {
                shape(made, which);
            } else if (which < 2 && !where_.config.empty()) {
                const range in = where_.config[below(where_.config.size())];
                made.what = operation::kind::read;
                made.region = region_index::config;
                made.size = std::min<std::size_t>(made.size, in.size);
                made.offset = in.offset + below(in.size - made.size + 1);
            } else if (which < 4) {
                made.region = absent[below(absent.size())];
                made.offset = below(64);
            } else {
                made.region = bar{0};
                made.offset = offset();
                if (below(2) == 0) made.offset -= made.offset % std::bit_ceil(made.size);
            }
        } while (!where_.allows(made));
        return made;
    }

    bool ports() { return !where_.shaped_config.empty() && below(2) != 0; }

    /// An access to what a config map shapes.
    void shape(operation& made, std::uint64_t which) {
        if (which >= 90 && !where_.others.empty()) {
            made.region = where_.others[below(where_.others.size())];
            made.offset = below(48);
            return;
        }
        const bool blind = which >= 85 && !where_.blind_config.empty();
        const std::vector<range>& all = blind ? where_.blind_config : where_.shaped_config;
        const range in = all[below(all.size())];
        if (blind) made.what = operation::kind::write;
        made.region = region_index::config;
        made.size = std::min<std::size_t>(made.size, in.size);
        made.offset = in.offset + below(in.size - made.size + 1);
    }

    std::size_t size() {
        constexpr std::array<std::size_t, 4> natural{1, 2, 4, 8};
        constexpr std::array<std::size_t, 6> odd{3, 5, 6, 7, 12, 16};
        return below(5) != 0 ? natural[below(natural.size())] : odd[below(odd.size())];
    }

    std::uint64_t offset() {
        const std::uint64_t how = below(100);
        if (how < 70 && !where_.edges.empty()) return near(where_.edges[below(where_.edges.size())]);
        if (how < 78) return near(where_.size);
        if (how < 90) return below(std::min<std::uint64_t>(where_.size, 0x100));
        if (how < 92) return where_.size + below(where_.size);
        return below(where_.size);
    }
    std::uint64_t near(std::uint64_t edge) {
        const std::uint64_t back = below(18);
        return edge + 9 > back ? edge + 9 - back : 0;
    }

    /// Random bytes, but often such as clear, set or single out bits.
    std::array<std::byte, longest> bytes() {
        const std::uint64_t how = below(6);
        std::array<std::byte, longest> made{};
        for (std::byte& b : made) {
            if (how == 0) b = std::byte{0};
            else if (how == 1) b = std::byte{0xff};
            else if (how == 2) b = std::byte{1} << below(8);
            else b = static_cast<std::byte>(random_());
        }
        return made;
    }

    static constexpr std::array absent{region_index::bar1, region_index::bar5, region_index::rom, region_index::vga,
                                       region_index::first_device_region};

    const territory& where_;
    std::mt19937_64 random_;
};

} // namespace mediant::conformance
