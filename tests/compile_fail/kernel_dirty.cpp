// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: this world has no log of what a device writes by DMA
#include <mediant/kernel/policy_object.hpp>
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;
struct nic {
    static constexpr auto info = provider{"nic", {pci_id{0x1234, 0x11e8}}};
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"BELL", 0x00, wo, {.hook = on::write}}};
    static constexpr auto regions = mediant::regions<bar0>{};
    result<void> write(at<bar0, "BELL"> which, std::uint32_t value, auto& next) noexcept {
#ifndef MEDIANT_CORRECT
        next.dirty(value, 4);
#endif
        return next.write(which, value);
    }
};
} // namespace acme

extern const mediant_provider& table;
const mediant_provider& table = mediant::kernel::provider_table<acme::nic>;
