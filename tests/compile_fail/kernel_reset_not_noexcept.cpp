// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a kernel module cannot carry a function that is not noexcept; the provider and its function are the arguments of check_noexcept
// expect: check_noexcept<false
// expect: "nic"
// expect: "reset"
#include <mediant/kernel/policy_object.hpp>
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;
struct nic {
    static constexpr auto info = provider{"nic", {pci_id{0x1234, 0x11e8}}};
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"MODE", 0x00, rw}};
    static constexpr auto regions = mediant::regions<bar0>{};
    result<void> open(auto&) noexcept { return {}; }
#ifndef MEDIANT_CORRECT
    void reset() {}
#else
    void reset() noexcept {}
#endif
};
} // namespace acme

extern const mediant_provider& table;
const mediant_provider& table = mediant::kernel::provider_table<acme::nic>;
