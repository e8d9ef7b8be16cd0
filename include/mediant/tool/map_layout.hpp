// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/tool/map_facts.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

/// Where things stand in a drawing of a region: rows of 32 bytes where registers lie (of 16 in what is small, and in
/// config space, whose registers are narrow), and one band for each stretch in
/// which nothing changes, so that 5 registers in 1 MiB and 500 of them both make a drawing of sensible length.
namespace mediant::command_line {

/// An element of an entry.
struct map_stretch {
    std::uint64_t begin;
    std::uint64_t end;
    std::size_t entry; ///< in the region's entries
    std::uint32_t element;

    friend bool operator==(const map_stretch&, const map_stretch&) = default;
};

/// A band of a drawing, as wide as the drawing: the bytes [begin, end).
struct map_band {
    enum class shape : std::uint8_t {
        row,    ///< one row of bytes, with what lies in them
        gap,    ///< nothing is named here
        whole,  ///< all of it is one entry's
        repeat, ///< goes on as the bands before it
    };
    shape what = shape::gap;
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    std::vector<map_stretch> cells; ///< in a row: by offset; in `whole`: one; in `repeat`: the first and the last
};

class map_layout {
public:
    static constexpr std::uint64_t page_bytes = 4096;
    static constexpr std::size_t none = ~std::size_t{0};

    explicit map_layout(const region_facts& region)
        : region_{region}, row_bytes_{region.is_config() || region.size <= 256 ? 16u : 32u} {
        for (std::size_t i = 0; i < region.entries.size(); ++i) {
            const entry_facts& e = region.entries[i];
            if (e.shape == entry::shape::dynamic) {
                dynamics_.push_back(i);
                continue;
            }
            for (std::uint32_t element = 0; element < e.count; ++element)
                stretches_.push_back(
                    {e.offset + element * e.stride, e.offset + element * e.stride + e.size, i, element});
        }
        std::sort(stretches_.begin(), stretches_.end(),
                  [](const map_stretch& a, const map_stretch& b) { return a.begin < b.begin; });
        lay_out();
        fold_repeats();
    }

    [[nodiscard]] std::uint64_t row_bytes() const noexcept { return row_bytes_; }
    [[nodiscard]] const std::vector<map_band>& bands() const noexcept { return bands_; }
    /// All elements of all entries but dynamic ranges, by offset.
    [[nodiscard]] const std::vector<map_stretch>& stretches() const noexcept { return stretches_; }
    /// The dynamic range that holds a byte, as an index of the region's entries, or none.
    [[nodiscard]] std::size_t dynamic_at(std::uint64_t offset) const noexcept {
        for (const std::size_t i : dynamics_)
            if (offset >= region_.entries[i].offset && offset < region_.entries[i].end()) return i;
        return none;
    }
    /// The band that holds a byte.
    [[nodiscard]] std::size_t band_at(std::uint64_t offset) const noexcept {
        const auto after = std::upper_bound(bands_.begin(), bands_.end(), offset,
                                            [](std::uint64_t at, const map_band& b) { return at < b.begin; });
        return static_cast<std::size_t>(after - bands_.begin()) - 1;
    }

private:
    void lay_out() {
        std::uint64_t at = 0;
        std::size_t next = 0; // the first stretch that ends after `at`
        while (at < region_.size) {
            while (next < stretches_.size() && stretches_[next].end <= at) ++next;
            const std::uint64_t begin = next < stretches_.size() ? stretches_[next].begin / row_bytes_ * row_bytes_
                                                                 : region_.size;
            if (begin > at) {
                gap(at, begin);
                at = begin;
                continue;
            }
            const map_stretch& first = stretches_[next];
            const std::uint64_t rows_end = first.end / row_bytes_ * row_bytes_;
            if (first.begin <= at && rows_end >= at + 2 * row_bytes_) {
                bands_.push_back({map_band::shape::whole, at, rows_end, {first}});
                at = rows_end;
                continue;
            }
            map_band row{map_band::shape::row, at, std::min(at + row_bytes_, region_.size), {}};
            for (std::size_t i = next; i < stretches_.size() && stretches_[i].begin < row.end; ++i)
                row.cells.push_back(stretches_[i]);
            at = row.end;
            bands_.push_back(std::move(row));
        }
    }

    /// Cut where a page with entries ends or begins, where a dynamic range does, and where the user sees no further.
    void gap(std::uint64_t begin, std::uint64_t end) {
        std::vector<std::uint64_t> cuts{begin, end};
        if (region_.visible > begin && region_.visible < end) cuts.push_back(region_.visible);
        for (const std::uint64_t cut :
             {(begin + page_bytes - 1) / page_bytes * page_bytes, end / page_bytes * page_bytes})
            if (cut > begin && cut < end) cuts.push_back(cut);
        for (const std::size_t i : dynamics_)
            for (const std::uint64_t cut : {region_.entries[i].offset, region_.entries[i].end()})
                if (cut > begin && cut < end) cuts.push_back(cut);
        std::sort(cuts.begin(), cuts.end());
        cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
        for (std::size_t i = 0; i + 1 < cuts.size(); ++i)
            bands_.push_back({map_band::shape::gap, cuts[i], cuts[i + 1], {}});
    }

    /// Whether a band looks as another does: the same entries at the same places, elements apart.
    [[nodiscard]] bool alike(const map_band& a, const map_band& b) const {
        if (a.what != b.what || a.end - a.begin != b.end - b.begin || a.cells.size() != b.cells.size()) return false;
        if (dynamic_at(a.begin) != dynamic_at(b.begin)) return false;
        for (std::size_t i = 0; i < a.cells.size(); ++i) {
            const map_stretch& x = a.cells[i];
            const map_stretch& y = b.cells[i];
            if (x.entry != y.entry || x.begin - a.begin != y.begin - b.begin) return false;
        }
        return true;
    }

    /// Arrays and register files: the first two turns and the last stay, what is between becomes one band.
    void fold_repeats() {
        static constexpr std::size_t longest_turn = 64; // bands
        static constexpr std::size_t fewest_bands = 8;  // below that, nothing is gained
        std::vector<map_band> out;
        std::size_t at = 0;
        while (at < bands_.size()) {
            std::size_t best_turn = 0;
            std::size_t best_turns = 0;
            for (std::size_t turn = 1; turn <= longest_turn && at + 2 * turn <= bands_.size(); ++turn) {
                if (!alike(bands_[at], bands_[at + turn])) continue;
                std::size_t same = turn;
                while (at + same < bands_.size() && alike(bands_[at + same], bands_[at + same - turn])) ++same;
                if (same / turn >= 4 && same >= fewest_bands && named(at, at + turn)) {
                    best_turn = turn;
                    best_turns = same / turn;
                    break;
                }
            }
            if (best_turn == 0) {
                out.push_back(std::move(bands_[at++]));
                continue;
            }
            const std::size_t from = at + 2 * best_turn;
            const std::size_t to = at + (best_turns - 1) * best_turn;
            for (; at < from; ++at) out.push_back(std::move(bands_[at]));
            map_band middle{map_band::shape::repeat, bands_[from].begin, bands_[to - 1].end, {}};
            for (; at < to; ++at)
                for (const map_stretch& cell : bands_[at].cells) {
                    if (middle.cells.size() == 2) middle.cells.pop_back();
                    middle.cells.push_back(cell);
                }
            out.push_back(std::move(middle));
            for (const std::size_t end = to + best_turn; at < end; ++at) out.push_back(std::move(bands_[at]));
        }
        bands_ = std::move(out);
    }

    [[nodiscard]] bool named(std::size_t from, std::size_t to) const {
        for (std::size_t i = from; i < to; ++i)
            if (!bands_[i].cells.empty()) return true;
        return false;
    }

    const region_facts& region_;
    std::uint64_t row_bytes_;
    std::vector<map_stretch> stretches_;
    std::vector<std::size_t> dynamics_;
    std::vector<map_band> bands_;
};

} // namespace mediant::command_line
