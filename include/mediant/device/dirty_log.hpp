// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/result.hpp>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <vector>

namespace mediant::device {

/// Which pages of I/O address space a device has written: VFIO_DEVICE_FEATURE_DMA_LOGGING_*.
///
/// A bit a page, in 64-bit words; words that nobody touches cost no memory. mark() and report() may run at once in
/// several threads, and no mark is lost between them; start(), cover() and stop() may not run beside anything.
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
        shift_ = static_cast<unsigned>(std::countr_zero(std::max(page, least_page)));
        everything_ = ranges.empty();
        for (const range& each : ranges) {
            if (const auto added = add(each); !added) {
                stop();
                return added;
            }
        }
        running_ = true;
        return {};
    }
    void stop() noexcept {
        areas_.clear();
        running_ = false;
    }
    [[nodiscard]] bool running() const noexcept { return running_; }
    /// The page that is tracked, bytes.
    [[nodiscard]] std::uint64_t page() const noexcept { return std::uint64_t{1} << shift_; }

    /// Memory that the device may write from now on: logged where no ranges were stated. Errors as of start().
    result<void> cover(const range& memory) {
        if (!running_ || !everything_) return {};
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
        if (!running_ || size == 0) return;
        const std::uint64_t last = iova + (size - 1);
        auto next = after(iova);
        if (next != areas_.begin()) --next;
        for (; next != areas_.end() && next->first <= last; ++next) {
            if (next->last < iova) continue;
            set_bits(*next, bit(*next, std::max(iova, next->first)), bit(*next, std::min(last, next->last)));
        }
    }

    /// Sets the bits of `to`, one for each `page` bytes from `iova` on, whose pages were written, and forgets those
    /// unless told otherwise: `to` has (length / page) bits, rounded up to words, and is written whole. error::invalid: nothing is logged, a
    /// page that is no power of two or finer than what is tracked, iova and length that are no multiples of it, a
    /// range that wraps, a bitmap of another size.
    result<void> report(std::uint64_t iova, std::uint64_t length, std::uint64_t page, std::span<std::uint64_t> to,
                        bool forgets = true) {
        if (!running_ || !std::has_single_bit(page) || page < this->page()) return error::invalid;
        if (length == 0 || ((iova | length) & (page - 1)) != 0 || length - 1 > ~iova) return error::invalid;
        if (to.size() != (length / page + 63) / 64) return error::invalid;
        std::fill(to.begin(), to.end(), 0);
        const std::uint64_t last = iova + (length - 1);
        auto next = after(iova);
        if (next != areas_.begin()) --next;
        for (; next != areas_.end() && next->first <= last; ++next) {
            if (next->last >= iova) take(*next, std::max(iova, next->first), std::min(last, next->last), iova, page, to, forgets);
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
        for (std::uint64_t word = from / 64; word <= to / 64; ++word) {
            const auto mask = mask_of(word == from / 64 ? from : 0, word == to / 64 ? to : 63);
            const std::atomic_ref<std::uint64_t> bits{in.words[word]};
            // Most pages are written again and again: a look spares the others' caches.
            if ((bits.load(std::memory_order_relaxed) & mask) != mask) bits.fetch_or(mask, std::memory_order_release);
        }
    }

    /// The bits of [first, last] of an area, forgotten as they are read.
    void take(area& in, std::uint64_t first, std::uint64_t last, std::uint64_t origin, std::uint64_t page,
              std::span<std::uint64_t> to, bool forgets) const noexcept {
        const std::uint64_t from = bit(in, first);
        const std::uint64_t until = bit(in, last);
        const auto wider = static_cast<unsigned>(std::countr_zero(page)) - shift_;
        const std::uint64_t offset = (in.first >> shift_) - (origin >> shift_); // wraps where the area begins before
        for (std::uint64_t word = from / 64; word <= until / 64; ++word) {
            const std::atomic_ref<std::uint64_t> bits{in.words[word]};
            if (bits.load(std::memory_order_relaxed) == 0) continue;
            const auto mask = mask_of(word == from / 64 ? from : 0, word == until / 64 ? until : 63);
            std::uint64_t dirty = mask & (forgets ? bits.fetch_and(~mask, std::memory_order_acq_rel) : bits.load());
            const std::uint64_t base = word * 64 + offset; // of the word's bit 0, in tracked pages from the origin on
            if (wider == 0 && dirty != 0) {
                // A word here lies across two there, or is one.
                const auto low = static_cast<std::int64_t>(base) >> 6; // below 0 where the report begins within it
                const unsigned by = base % 64;
                if (low >= 0) to[static_cast<std::size_t>(low)] |= dirty << by;
                if (by != 0 && (dirty >> (64 - by)) != 0) to[static_cast<std::size_t>(low + 1)] |= dirty >> (64 - by);
                continue;
            }
            for (; dirty != 0; dirty &= dirty - 1) {
                const std::uint64_t at = (base + static_cast<unsigned>(std::countr_zero(dirty))) >> wider;
                to[at / 64] |= std::uint64_t{1} << (at % 64);
            }
        }
    }

    std::vector<area> areas_; // sorted, apart
    unsigned shift_ = 12;
    bool running_ = false;
    bool everything_ = false;
};

} // namespace mediant::device
