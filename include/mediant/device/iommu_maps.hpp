// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/requests.hpp>
#include <mediant/core/result.hpp>
#include <mediant/device/dma_map.hpp>
#include <mediant/device/log.hpp>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace mediant::device {

/// A client's memory as policies reach it (dma_map), and as a device does through an IOMMU: the same in both.
///
/// `Iommu` has map(map_dma), unmap(unmap_dma) and unmap_all(), with the kernel's errors; error::not_found where nothing
/// is mapped there. What it does not unmap the device still reaches: that is the error of the request, for which the
/// memory stays where it is, a line in the log, and it is tried again when it is asked for again.
template <class Iommu>
class iommu_maps {
public:
    explicit iommu_maps(Iommu way) : iommu_{std::move(way)} {}

    [[nodiscard]] const Iommu& iommu() const noexcept { return iommu_; }
    [[nodiscard]] dma_map& dma() noexcept { return dma_; }

    /// Maps it for the device too, if it is shared. error::no_memory beyond RLIMIT_MEMLOCK.
    result<void> map(const map_dma& what, const logger& log) {
        if (const auto mapped = dma_.map(what); !mapped) return mapped;
        if (what.memory.empty()) {
            log("memory that is not shared is out of the device's reach: I/O address and bytes", what.iova, what.size);
            return {};
        }
        const auto mapped = iommu_.map(what);
        if (!mapped) {
            static_cast<void>(dma_.unmap({what.iova, what.size}));
            log("cannot be mapped for the device: I/O address, bytes and error", what.iova, what.size, number(mapped));
        }
        return mapped;
    }

    /// Nobody reaches it any more when this succeeds.
    result<void> unmap(const unmap_dma& what, const logger& log) {
        const auto same = [&](const unmap_dma& each) { return each.iova == what.iova && each.size == what.size; };
        const bool again = std::ranges::any_of(stuck_, same);
        if (!again) {
            stuck_.reserve(stuck_.size() + 1); // what is not unmapped must not be forgotten
            if (const auto known = dma_.unmap(what); !known) return known;
        }
        const auto unmapped = iommu_.unmap(what);
        if (unmapped || unmapped.error() == error::not_found) { // it was not shared
            std::erase_if(stuck_, same);
            return {};
        }
        if (!again) stuck_.push_back(what);
        log("cannot be unmapped, the device still reaches it: I/O address, bytes and error", what.iova, what.size,
            number(unmapped));
        return unmapped;
    }

    /// All of it, when the device is closed. The address space outlives the client: what was not unmapped (a lease that
    /// did not end in time), the next one's device would still reach.
    void clear(const logger& log) noexcept {
        if (const auto unmapped = iommu_.unmap_all(); !unmapped && unmapped.error() != error::not_found)
            log("cannot be unmapped, the device may reach memory of a client that is gone: error", number(unmapped));
        stuck_.clear();
        dma_.clear();
    }

private:
    [[nodiscard]] static std::uint64_t number(const result<void>& what) noexcept {
        return static_cast<std::uint64_t>(to_errno(what.error()));
    }

    Iommu iommu_;
    dma_map dma_;
    std::vector<unmap_dma> stuck_; // gone from dma_, and not from the IOMMU
};

} // namespace mediant::device
