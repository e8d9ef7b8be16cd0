// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a kernel module cannot carry a config map yet: config space is mediated in user space only
#include <mediant/kernel/policy_object.hpp>
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;
struct nic {
    static constexpr auto info = provider{"nic", {pci_id{0x1234, 0x11e8}}};
    static constexpr auto bar2 = region_map{bar{2}, 4_KiB};
#ifndef MEDIANT_CORRECT
    static constexpr auto config = config_map{hide_upper_half{2}};
    static constexpr auto regions = mediant::regions<bar2, config>{};
#else
    static constexpr auto regions = mediant::regions<bar2>{};
#endif
};
} // namespace acme

extern const mediant_provider& table;
const mediant_provider& table = mediant::kernel::provider_table<acme::nic>;
