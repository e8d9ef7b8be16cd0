// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/requests.hpp>

#include <algorithm>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <vector>

namespace mediant::device::detail {

/// One mapped region. Its memory stays where it is, and is used again for others, as long as the index lives: a thread
/// that found it too late pins it in vain, or finds that it has become another.
class alignas(64) dma_region {
public:
    [[nodiscard]] std::uint64_t iova() const noexcept { return iova_.load(std::memory_order_relaxed); }
    [[nodiscard]] std::uint64_t size() const noexcept { return size_.load(std::memory_order_relaxed); }
    [[nodiscard]] bool holds(std::uint64_t at) const noexcept { return at - iova() < size(); }

    // The others only where it is pinned, or to the thread that maps.
    [[nodiscard]] std::span<std::byte> memory() const noexcept { return memory_; }
    [[nodiscard]] remote_memory* remote() const noexcept { return remote_; }
    [[nodiscard]] bool readable() const noexcept { return readable_; }
    [[nodiscard]] bool writable() const noexcept { return writable_; }

    /// Keeps it mapped; false where it is not, or is on its way out.
    [[nodiscard]] bool pin() noexcept {
        if ((state_.fetch_add(1, std::memory_order_acquire) & open) != 0) return true;
        unpin();
        return false;
    }
    void unpin() noexcept { state_.fetch_sub(1, std::memory_order_release); }
    /// What the thread did before is seen before whatever it looks at next.
    void settle() noexcept { state_.fetch_add(0, std::memory_order_seq_cst); }

    void begin(const map_dma& what) noexcept {
        iova_.store(what.iova, std::memory_order_relaxed);
        size_.store(what.size, std::memory_order_relaxed);
        memory_ = what.memory;
        remote_ = what.remote;
        readable_ = what.readable;
        writable_ = what.writable;
        patience_ = {};
        reopen();
    }
    void reopen() noexcept { state_.fetch_or(open, std::memory_order_release); }
    /// No more pins.
    void close() noexcept { state_.fetch_and(~open, std::memory_order_acq_rel); }
    /// Until when the thread that maps waits for the pins that are left.
    [[nodiscard]] std::chrono::steady_clock::time_point patience() const noexcept { return patience_; }
    void set_patience(std::chrono::steady_clock::time_point until) noexcept { patience_ = until; }
    /// Closed, and none is left.
    [[nodiscard]] bool idle() const noexcept { return state_.load(std::memory_order_acquire) == 0; }

private:
    static constexpr std::uint32_t open = 1u << 31;

    std::atomic<std::uint64_t> iova_{0};
    std::atomic<std::uint64_t> size_{0};
    std::span<std::byte> memory_{};
    remote_memory* remote_ = nullptr;
    bool readable_ = false;
    bool writable_ = false;
    std::chrono::steady_clock::time_point patience_{};
    std::atomic<std::uint32_t> state_{0}; // pins, and whether it is open
};

/// Finds the region that holds an address, in the same time however many there are.
///
/// A table over the span of all regions, of four slots or more for each: most slots are met by no region or one, which
/// is the answer; one that several meet names those, which are searched. One thread changes it (add, remove); others
/// may look things up all the while: what they find is a hint, to be pinned and looked at again, and where they find
/// nothing stable() says whether that is true.
class dma_index {
public:
    dma_index() = default;
    dma_index(const dma_index&) = delete;
    dma_index& operator=(const dma_index&) = delete;

    /// The region that holds `iova` if any does; else null, or one that does not.
    [[nodiscard]] dma_region* find(std::uint64_t iova) const noexcept {
        const table* const in = table_.load(std::memory_order_acquire);
        if (in == nullptr) return nullptr;
        const std::uint64_t at =
            (iova - in->base.load(std::memory_order_relaxed)) >> in->shift.load(std::memory_order_relaxed);
        if (at >= in->count) return nullptr;
        const std::uintptr_t slot = in->slots[static_cast<std::size_t>(at)].load(std::memory_order_acquire);
        if ((slot & several) != 0) [[unlikely]]
            return search(*in, slot, iova);
        return reinterpret_cast<dma_region*>(slot); // NOLINT: as put()
    }

    /// What a thread that does not change the index remembers before it looks.
    [[nodiscard]] std::uint64_t version() const noexcept { return version_.load(std::memory_order_acquire); }
    /// Whether nothing has changed since, so that what was not found is not there.
    [[nodiscard]] bool stable(std::uint64_t since) const noexcept {
        return (since & 1) == 0 && version_.load(std::memory_order_acquire) == since;
    }

    // The thread that changes it.

    /// In the order of their addresses.
    [[nodiscard]] std::span<dma_region* const> all() const noexcept { return sorted_; }
    /// The first that begins after `iova`.
    [[nodiscard]] std::size_t after(std::uint64_t iova) const noexcept {
        const auto next = std::upper_bound(sorted_.begin(), sorted_.end(), iova,
                                           [](std::uint64_t at, const dma_region* each) { return at < each->iova(); });
        return static_cast<std::size_t>(next - sorted_.begin());
    }
    /// Takes up a region that overlaps none, before the one at `place`. Throws std::bad_alloc, and then nothing changed.
    void add(std::size_t place, const map_dma& what) {
        reserve(sorted_.size() + 1);
        if (unused_.empty()) {
            unused_.reserve(regions_.size() + 1);
            unused_.push_back(&regions_.emplace_back());
        }
        dma_region* const fresh = unused_.back();
        unused_.pop_back();
        fresh->begin(what);
        sorted_.insert(sorted_.begin() + static_cast<std::ptrdiff_t>(place), fresh);
        rebuild();
    }
    /// Takes out one that is idle.
    void remove(std::size_t place) noexcept {
        unused_.push_back(sorted_[place]); // there is room: it came from there
        sorted_.erase(sorted_.begin() + static_cast<std::ptrdiff_t>(place));
        rebuild();
    }

    /// Regions at most.
    static constexpr std::size_t most = (std::size_t{1} << 24) - 1;

private:
    static constexpr std::uintptr_t several = 1; // else a slot is a pointer
    static_assert(sizeof(std::uintptr_t) == 8, "a slot holds a place and a count of 24 bits each");
    static constexpr std::size_t least_slots = 512;

    struct table {
        explicit table(std::size_t regions)
            : count{std::max(least_slots, std::bit_ceil(4 * regions))},
              slots{std::make_unique<std::atomic<std::uintptr_t>[]>(count)}, sorted(count / 4) {}
        std::atomic<std::uint64_t> base{0};
        std::atomic<unsigned> shift{0};
        const std::size_t count;
        const std::unique_ptr<std::atomic<std::uintptr_t>[]> slots;
        std::vector<std::atomic<dma_region*>> sorted; // for slots that several regions meet
    };

    [[nodiscard]] static dma_region* search(const table& in, std::uintptr_t slot, std::uint64_t iova) noexcept {
        std::size_t low = slot >> 8 & most;
        std::size_t left = slot >> 32 & most;
        if (left > in.sorted.size() || low > in.sorted.size() - left) return nullptr; // never
        dma_region* found = nullptr;
        while (left != 0) {
            const std::size_t half = left / 2;
            dma_region* const middle = in.sorted[low + half].load(std::memory_order_acquire);
            if (middle == nullptr || middle->iova() > iova) {
                left = half;
            } else {
                found = middle;
                low += half + 1;
                left -= half + 1;
            }
        }
        return found;
    }

    /// Tables that are too small stay for those that look at them: all of them are no larger than the last.
    void reserve(std::size_t regions) {
        if (!tables_.empty() && regions <= tables_.back()->sorted.size()) return;
        sorted_.reserve(std::bit_ceil(regions));
        tables_.push_back(std::make_unique<table>(std::bit_ceil(regions)));
    }

    void rebuild() noexcept {
        table& to = *tables_.back();
        version_.fetch_add(1, std::memory_order_acq_rel);
        for (std::size_t i = 0; i < to.count; ++i) to.slots[i].store(0, std::memory_order_relaxed);
        if (!sorted_.empty()) {
            const std::uint64_t base = sorted_.front()->iova();
            const std::uint64_t span = sorted_.back()->iova() - base + (sorted_.back()->size() - 1);
            const int bits = static_cast<int>(std::bit_width(span)) - std::countr_zero(to.count);
            const unsigned shift = bits > 0 ? static_cast<unsigned>(bits) : 0;
            to.base.store(base, std::memory_order_relaxed);
            to.shift.store(shift, std::memory_order_relaxed);
            for (std::size_t i = 0; i < sorted_.size(); ++i) {
                to.sorted[i].store(sorted_[i], std::memory_order_release);
                const std::uint64_t first = sorted_[i]->iova() - base;
                for (std::uint64_t at = first >> shift; at <= (first + (sorted_[i]->size() - 1)) >> shift; ++at)
                    put(to.slots[static_cast<std::size_t>(at)], i);
            }
        }
        table_.store(&to, std::memory_order_release);
        version_.fetch_add(1, std::memory_order_acq_rel);
    }

    void put(std::atomic<std::uintptr_t>& slot, std::size_t place) const noexcept {
        const std::uintptr_t before = slot.load(std::memory_order_relaxed);
        std::uintptr_t now = reinterpret_cast<std::uintptr_t>(sorted_[place]);
        if ((before & several) != 0)
            now = before + (std::uintptr_t{1} << 32);
        else if (before != 0) // with the one before this, since they come in order
            now = several | std::uintptr_t{place - 1} << 8 | std::uintptr_t{2} << 32;
        slot.store(now, std::memory_order_release);
    }

    std::atomic<const table*> table_{nullptr};
    std::atomic<std::uint64_t> version_{0}; // odd while it changes
    std::vector<dma_region*> sorted_;
    std::vector<dma_region*> unused_;
    std::deque<dma_region> regions_; // where they are
    std::vector<std::unique_ptr<table>> tables_;
};

} // namespace mediant::device::detail
