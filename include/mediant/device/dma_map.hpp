// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/requests.hpp>
#include <mediant/core/result.hpp>
#include <mediant/device/dirty_log.hpp>
#include <mediant/device/remote_memory.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace mediant::device {

/// What a device that is simulated in user space may reach by DMA: I/O addresses and the memory behind them.
///
/// Regions never overlap and never wrap; one may end at the very top of the address space. It owns none of the
/// memory: what a region's span shows must stay until unmap() or clear() returned. Not thread-safe. What is written
/// goes into the log, if that runs.
class dma_map {
public:
    /// Adds a region. error::invalid: empty, wraps, or a span of another size; error::exists: overlaps one.
    result<void> map(const map_dma& what) {
        if (what.size == 0 || what.size - 1 > ~what.iova) return error::invalid;
        if (!what.memory.empty() && what.memory.size() != what.size) return error::invalid;
        const auto next = after(what.iova);
        if (next != regions_.end() && next->iova - what.iova < what.size) return error::exists;
        if (next != regions_.begin() && what.iova - (next - 1)->iova < (next - 1)->size) return error::exists;
        if (what.writable) {
            if (const auto logged = log_.cover({what.iova, what.size}); !logged) return logged;
        }
        regions_.insert(next, what);
        recent_ = 0;
        return {};
    }

    /// Takes away exactly what one map() added; error::not_found otherwise.
    result<void> unmap(const unmap_dma& what) {
        const auto* const found = find(what.iova);
        if (found == nullptr || found->iova != what.iova || found->size != what.size) return error::not_found;
        regions_.erase(regions_.begin() + (found - regions_.data()));
        recent_ = 0;
        return {};
    }

    /// From now on, writes are logged: in `ranges` or, with none, to all memory that is mapped now or later. Answers
    /// the page size that is tracked; errors as of dirty_log::start().
    result<std::uint64_t> start_logging(std::uint64_t page, std::span<const range> ranges) {
        if (const auto started = log_.start(page, ranges); !started) return started.error();
        for (const map_dma& each : regions_) {
            if (!each.writable) continue;
            if (const auto covered = log_.cover({each.iova, each.size}); !covered) {
                log_.stop();
                return covered.error();
            }
        }
        return log_.page();
    }
    [[nodiscard]] dirty_log& log() noexcept { return log_; }

    void clear() noexcept {
        log_.stop();
        regions_.clear();
        recent_ = 0;
    }
    [[nodiscard]] std::size_t size() const noexcept { return regions_.size(); }

    /// What the device does to the memory.
    enum class direction : std::uint8_t { read, write, both };

    /// The memory behind [iova, iova + size), which must lie in one region. To be written, it counts as written at
    /// once: who keeps it and writes later tells log().mark() again. error::fault: not mapped whole;
    /// error::denied: the region forbids the direction; error::not_supported: its memory is not shared, and only read()
    /// and write() reach it.
    [[nodiscard]] result<std::span<std::byte>> translate(std::uint64_t iova, std::uint64_t size, direction how) const {
        const auto* const in = find(iova);
        if (in == nullptr || !fits(iova - in->iova, size, in->size)) return error::fault;
        if ((how != direction::write && !in->readable) || (how != direction::read && !in->writable)) {
            return error::denied;
        }
        if (in->memory.empty()) return error::not_supported;
        if (how != direction::read) log_.mark(iova, size);
        return in->memory.subspan(iova - in->iova, size);
    }

    /// Copies from the client's memory, across regions that touch. A fault partway is a short count. What is not shared
    /// is asked for (map_dma::remote), and waited for.
    [[nodiscard]] answer read(std::uint64_t iova, std::span<std::byte> to) const {
        return copy(
            iova, to.size(), direction::read,
            [&](std::span<std::byte> memory, std::size_t done) {
                std::memcpy(to.data() + done, memory.data(), memory.size());
            },
            [&](remote_memory& from, std::size_t done, std::size_t size) {
                return from.read(iova + done, to.subspan(done, size));
            });
    }

    /// Copies to the client's memory, likewise.
    [[nodiscard]] answer write(std::uint64_t iova, std::span<const std::byte> from) const {
        return copy(
            iova, from.size(), direction::write,
            [&](std::span<std::byte> memory, std::size_t done) {
                std::memcpy(memory.data(), from.data() + done, memory.size());
            },
            [&](remote_memory& to, std::size_t done, std::size_t size) {
                const answer came = to.write(iova + done, from.subspan(done, size));
                if (came.count != 0) log_.mark(iova + done, came.count);
                return came;
            });
    }

private:
    /// The first region that starts after `iova`.
    [[nodiscard]] std::vector<map_dma>::const_iterator after(std::uint64_t iova) const noexcept {
        return std::upper_bound(regions_.begin(), regions_.end(), iova,
                                [](std::uint64_t at, const map_dma& region) { return at < region.iova; });
    }

    /// The region that holds `iova`, or null. Devices work on few buffers at a time: the last hit is tried first.
    [[nodiscard]] const map_dma* find(std::uint64_t iova) const noexcept {
        const auto holds = [&](const map_dma& region) {
            return iova >= region.iova && iova - region.iova < region.size;
        };
        if (recent_ < regions_.size() && holds(regions_[recent_])) return &regions_[recent_];
        const auto next = after(iova);
        if (next == regions_.begin() || !holds(*(next - 1))) return nullptr;
        recent_ = static_cast<std::size_t>(next - 1 - regions_.begin());
        return &regions_[recent_];
    }

    template <class Copy, class Ask>
    [[nodiscard]] answer copy(std::uint64_t iova, std::size_t size, direction how, Copy each, Ask ask) const {
        std::size_t done = 0;
        while (done < size) {
            const std::uint64_t at = iova + done;
            const auto* const in = at >= iova ? find(at) : nullptr; // wrapped past the top: nothing is there
            if (in == nullptr) return {done, error::fault};
            const auto part = std::min<std::uint64_t>(size - done, in->size - (at - in->iova));
            if (in->remote != nullptr && (how == direction::read ? in->readable : in->writable)) {
                const answer came = ask(*in->remote, done, part);
                done += came.count;
                if (came.count != part) return {done, came.error};
                continue;
            }
            const auto memory = translate(at, part, how);
            if (!memory) return {done, memory.error()};
            each(*memory, done);
            done += part;
        }
        return {done, error::none};
    }

    std::vector<map_dma> regions_; // sorted by iova
    mutable std::size_t recent_ = 0;
    mutable dirty_log log_;
};

} // namespace mediant::device
