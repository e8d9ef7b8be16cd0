// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/result.hpp>
#include <mediant/device/gate.hpp>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

namespace mediant::device {

/// Which pages of I/O address space a device has written: VFIO_DEVICE_FEATURE_DMA_LOGGING_*.
///
/// A bit a page, in 64-bit words; words that nobody touches cost no memory. mark() may be called by several threads at
/// once, beside everything else, and no mark is lost; the others by one at a time.
class dirty_log {
public:
    /// The finest page that is tracked.
    static constexpr std::uint64_t least_page = 4096;
    /// Bytes of bitmaps at most: 2 TiB of address space at 4 KiB.
    static constexpr std::uint64_t most_bytes = 64u << 20;

    /// Logs writes to these ranges; with none, to what cover() says. Forgets what an earlier log had. `page` is a
    /// power of two, bytes; what is tracked is that or least_page. error::invalid: it is none, or a range is empty,
    /// wraps or overlaps another; error::too_big: over most_bytes; error::no_memory.
    result<void> start(std::uint64_t page, std::span<const range> ranges) {
        stop();
        if (!std::has_single_bit(page)) return error::invalid;
        result<void> added;
        {
            const shut alone{gate_};
            shift_ = static_cast<unsigned>(std::countr_zero(std::max(page, least_page)));
            everything_ = ranges.empty();
            for (const range& each : ranges)
                if (added) added = add(each);
        }
        if (!added) {
            stop();
            return added;
        }
        running_.store(true); // sequentially consistent, as mark()'s look: what is written from now on is logged
        return {};
    }
    void stop() noexcept {
        running_.store(false);
        const shut alone{gate_};
        areas_.clear();
    }
    [[nodiscard]] bool running() const noexcept { return running_.load(std::memory_order_relaxed); }
    /// The page that is tracked, bytes.
    [[nodiscard]] std::uint64_t page() const noexcept { return std::uint64_t{1} << shift_; }

    /// Memory that the device may write from now on: logged where no ranges were stated. Errors as of start().
    result<void> cover(const range& memory) {
        if (!running() || !everything_) return {};
        const shut alone{gate_};
        // Of what is covered already, by memory that was there and went, the marks stay.
        std::uint64_t at = memory.offset;
        const std::uint64_t last = memory.offset + (memory.size - 1);
        for (;;) {
            const auto next = after(at);
            if (next != areas_.begin() && (next - 1)->last >= at) {
                if ((next - 1)->last >= last) return {};
                at = (next - 1)->last + 1;
                continue;
            }
            const std::uint64_t stop = next == areas_.end() || next->first > last ? last : next->first - 1;
            if (const auto added = add({at, stop - at + 1}); !added) return added;
            if (stop == last) return {};
            at = stop + 1;
        }
    }

    /// The device has written [iova, iova + size), which does not wrap.
    void mark(std::uint64_t iova, std::uint64_t size) noexcept {
        if (!running_.load()) return;
        const entered here{gate_};
        mark_in_call(iova, size);
    }
    /// The same by the thread that calls the others.
    void mark_in_call(std::uint64_t iova, std::uint64_t size) noexcept {
        if (!running() || size == 0) return;
        const std::uint64_t last = iova + (size - 1);
        auto next = areas_.begin();
        if (areas_.size() > 4) { // few are looked at as fast
            next = after(iova);
            if (next != areas_.begin()) --next;
        }
        for (; next != areas_.end() && next->first <= last; ++next) {
            if (next->last < iova) continue;
            set_bits(*next, bit(*next, std::max(iova, next->first)), bit(*next, std::min(last, next->last)));
        }
    }

    /// Sets the bits of `to`, one for each `page` bytes from `iova` on, whose pages were written, and forgets those
    /// unless told otherwise: `to` has (length / page) bits, rounded up to words, and is written whole. error::invalid:
    /// nothing is logged, a page that is no power of two or finer than what is tracked, iova and length that are no
    /// multiples of it, a range that wraps, a bitmap of another size.
    result<void> report(std::uint64_t iova, std::uint64_t length, std::uint64_t page, std::span<std::uint64_t> to,
                        bool forgets = true) {
        if (!running() || !std::has_single_bit(page) || page < this->page()) return error::invalid;
        if (length == 0 || ((iova | length) & (page - 1)) != 0 || length - 1 > ~iova) return error::invalid;
        if (to.size() != (length / page + 63) / 64) return error::invalid;
        std::fill(to.begin(), to.end(), 0);
        const std::uint64_t last = iova + (length - 1);
        auto next = after(iova);
        if (next != areas_.begin()) --next;
        for (; next != areas_.end() && next->first <= last; ++next) {
            if (next->last >= iova)
                take(*next, std::max(iova, next->first), std::min(last, next->last), iova, page, to, forgets);
        }
        return {};
    }

private:
    struct release {
        void operator()(std::uint64_t* words) const noexcept { std::free(words); } // NOLINT: of calloc
    };
    /// Bits for whole pages from that of `first` on.
    struct area {
        std::uint64_t first;
        std::uint64_t last; // inclusive: an area may end at the very top
        std::unique_ptr<std::uint64_t[], release> words;
    };

    [[nodiscard]] std::uint64_t bit(const area& in, std::uint64_t iova) const noexcept {
        return (iova >> shift_) - (in.first >> shift_);
    }
    [[nodiscard]] std::vector<area>::iterator after(std::uint64_t iova) noexcept {
        return std::upper_bound(areas_.begin(), areas_.end(), iova,
                                [](std::uint64_t at, const area& each) { return at < each.first; });
    }

    result<void> add(const range& what) {
        if (what.size == 0 || what.size - 1 > ~what.offset) return error::invalid;
        const std::uint64_t last = what.offset + (what.size - 1);
        const auto next = after(what.offset);
        if (next != areas_.end() && next->first <= last) return error::invalid;
        if (next != areas_.begin() && (next - 1)->last >= what.offset) return error::invalid;
        const std::uint64_t words = ((last >> shift_) - (what.offset >> shift_)) / 64 + 1;
        std::uint64_t all = words;
        for (const area& each : areas_) all += bit(each, each.last) / 64 + 1;
        if (all > most_bytes / 8) return error::too_big;
        // calloc: zero pages that the kernel gives only when they are touched.
        auto* const memory = static_cast<std::uint64_t*>(std::calloc(words, sizeof(std::uint64_t))); // NOLINT
        if (memory == nullptr) return error::no_memory;
        areas_.insert(next, area{what.offset, last, std::unique_ptr<std::uint64_t[], release>{memory}});
        return {};
    }

    [[nodiscard]] static std::uint64_t mask_of(std::uint64_t from, std::uint64_t to) noexcept { // bits of one word
        return (~std::uint64_t{0} << (from % 64)) & (~std::uint64_t{0} >> (63 - to % 64));
    }

    static void set_bits(area& in, std::uint64_t from, std::uint64_t to) noexcept {
        if (from / 64 == to / 64) [[likely]]
            return set_in_word(in.words[from / 64], mask_of(from, to));
        for (std::uint64_t word = from / 64; word <= to / 64; ++word) {
            const auto mask = mask_of(word == from / 64 ? from : 0, word == to / 64 ? to : 63);
            set_in_word(in.words[word], mask);
        }
    }
    static void set_in_word(std::uint64_t& word, std::uint64_t mask) noexcept {
        const std::atomic_ref<std::uint64_t> bits{word};
        // Most pages are written again and again: a look spares the others' caches.
        if ((bits.load(std::memory_order_relaxed) & mask) == mask) return;
        if (mask == ~std::uint64_t{0})
            bits.store(mask, std::memory_order_relaxed);
        else
            bits.fetch_or(mask, std::memory_order_relaxed);
    }

    /// The bits of [first, last] of an area, forgotten as they are read. Those that mark wait at the gate meanwhile, for
    /// a piece at a time: words need no atomic operation then.
    void take(area& in, std::uint64_t first, std::uint64_t last, std::uint64_t origin, std::uint64_t page,
              std::span<std::uint64_t> to, bool forgets) noexcept {
        const std::uint64_t from = bit(in, first);
        const std::uint64_t until = bit(in, last);
        const auto wider = static_cast<unsigned>(std::countr_zero(page)) - shift_;
        const std::uint64_t offset = (in.first >> shift_) - (origin >> shift_); // wraps where the area begins before
        const std::uint64_t words = until / 64 + 1;
        for (std::uint64_t word = from / 64; word < words;) {
            const std::uint64_t piece = std::min(words, word + piece_words);
            const shut alone{gate_};
            while (word < piece) {
                const bool whole = word * 64 >= from && (word + run_words) * 64 - 1 <= until;
                if (whole && !any(in, word)) {
                    word += run_words;
                } else if (const std::uint64_t there = (word * 64 + offset) / 64;
                           whole && wider == 0 && offset % 64 == 0 && fits(there, run_words, to.size())) {
                    // A word here is one there. (What is whole fits; compilers are told.)
                    std::memcpy(&to[static_cast<std::size_t>(there)], &in.words[word], run_words * sizeof in.words[word]);
                    if (forgets) std::memset(&in.words[word], 0, run_words * sizeof in.words[word]);
                    word += run_words;
                } else {
                    const auto mask = mask_of(word == from / 64 ? from : 0, word == until / 64 ? until : 63);
                    const std::uint64_t dirty = in.words[word] & mask;
                    if (dirty != 0 && forgets) in.words[word] &= ~mask;
                    report_word(dirty, word * 64 + offset, wider, to);
                    ++word;
                }
            }
        }
    }

    [[nodiscard]] static bool any(const area& in, std::uint64_t word) noexcept {
        std::uint64_t all = 0;
        for (std::uint64_t i = 0; i < run_words; ++i) all |= in.words[word + i];
        return all != 0;
    }

    /// `base`: of the word's bit 0, in tracked pages from the report's origin on.
    static void report_word(std::uint64_t dirty, std::uint64_t base, unsigned wider, std::span<std::uint64_t> to) noexcept {
        if (dirty == 0) return;
        if (wider == 0) {
            // A word here lies across two there, or is one.
            const auto low = static_cast<std::int64_t>(base) >> 6; // below 0 where the report begins within it
            const unsigned by = base % 64;
            if (low >= 0) to[static_cast<std::size_t>(low)] |= dirty << by;
            if (by != 0 && (dirty >> (64 - by)) != 0) to[static_cast<std::size_t>(low + 1)] |= dirty >> (64 - by);
            return;
        }
        for (; dirty != 0; dirty &= dirty - 1) {
            const std::uint64_t at = (base + static_cast<unsigned>(std::countr_zero(dirty))) >> wider;
            to[static_cast<std::size_t>(at / 64)] |= std::uint64_t{1} << (at % 64);
        }
    }

    static constexpr std::uint64_t run_words = 8;      // looked at, and copied, at once
    static constexpr std::uint64_t piece_words = 4096; // for which others wait

    std::vector<area> areas_; // sorted, apart
    unsigned shift_ = 12;
    bool everything_ = false;
    std::atomic<bool> running_{false};
    gate gate_; // those that mark are within, who changes the areas or takes bits shuts it
};

} // namespace mediant::device
