// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/requests.hpp>
#include <mediant/core/result.hpp>
#include <mediant/device/dma_map.hpp>
#include <mediant/device/interrupts.hpp>

#include <cstdint>

namespace mediant::device {

/// What surrounds a device that is simulated in user space: the memory that it may reach and the interrupts that
/// it may raise. A simulated device owns one, passes the requests that concern it here, and calls release() from
/// its own release.
class host {
public:
    dma_map dma;
    interrupts irqs;

    [[nodiscard]] result<get_irq_info::answer> ioctl(const get_irq_info& what) const { return irqs.info(what.index); }
    result<void> ioctl(const set_irqs& what) { return irqs.apply(what); }
    result<void> ioctl(const map_dma& what) { return dma.map(what); }
    result<void> ioctl(const unmap_dma& what) { return dma.unmap(what); }
    result<std::uint64_t> ioctl(const start_dma_logging& what) { return dma.start_logging(what.page, what.ranges); }
    result<void> ioctl(const stop_dma_logging&) {
        dma.log().stop();
        return {};
    }
    result<void> ioctl(const report_dma_logging& what) {
        return dma.log().report(what.iova, what.length, what.page, what.bitmap, what.forgets);
    }

    /// The user is gone: mappings, eventfds, masks and counts with it.
    void release() noexcept {
        dma.clear();
        irqs.clear();
    }
};

} // namespace mediant::device
