// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a policy's state in a kernel module, shadows included, has at most 64 KiB; the provider and its bytes are the arguments of check_state_size
// expect: check_state_size<false
// expect: "nic"
// expect: 655
#include <mediant/kernel/policy_object.hpp>
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;
#ifdef MEDIANT_CORRECT
constexpr std::uint64_t shadows = 32_KiB;
#else
constexpr std::uint64_t shadows = 64_KiB;
#endif
struct nic {
    static constexpr auto info = provider{"nic", {pci_id{0x1234, 0x11e8}}};
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, block{"RAM", 0, shadows, {.backing = from::shadow}}};
    static constexpr auto regions = mediant::regions<bar0>{};
};
} // namespace acme

extern const mediant_provider& table;
const mediant_provider& table = mediant::kernel::provider_table<acme::nic>;
