// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: this world cannot switch dynamic ranges
#include <mediant/kernel/policy_object.hpp>
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;
struct nic {
    static constexpr auto info = provider{"nic", {pci_id{0x1234, 0x11e8}}};
    static constexpr auto bar0 = region_map{bar{0}, 64_KiB, reg{"LIVE", 0x08}, dynamic{"APERTURE", 0x1000, 4_KiB}};
    static constexpr auto regions = mediant::regions<bar0>{};
    result<void> open(auto& next) noexcept {
#ifndef MEDIANT_CORRECT
        return next.untrap(at<bar0, "APERTURE">{});
#else
        static_cast<void>(next);
        return {};
#endif
    }
};
} // namespace acme

extern const mediant_provider& table;
const mediant_provider& table = mediant::kernel::provider_table<acme::nic>;
