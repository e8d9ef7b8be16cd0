// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: this world has no DMA service
#include <mediant/kernel/bpf_policy.hpp>
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;
struct nic {
    static constexpr auto info = provider{"nic", {pci_id{0x1234, 0x11e8}}};
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"BELL", 0x00, wo, {.hook = on::write}}};
    static constexpr auto regions = mediant::regions<bar0>{};
    result<void> write(at<bar0, "BELL"> which, std::uint32_t value, auto& next) noexcept {
#ifndef MEDIANT_CORRECT
        static_cast<void>(next.dma());
#endif
        return next.write(which, value);
    }
};
} // namespace acme

template struct mediant::kernel::bpf_programs<acme::nic>;
