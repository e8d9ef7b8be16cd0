// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a module on vfio-pci-core needs a licence that is compatible with the GPL
#include <mediant/kernel/bpf_policy.hpp>
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;
#ifndef MEDIANT_CORRECT
inline constexpr provider_details details{.license = "Proprietary"};
#else
inline constexpr provider_details details{.license = "GPL"};
#endif
struct nic {
    static constexpr auto info = provider{"nic", {pci_id{0x1234, 0x11e8}}, details};
};
} // namespace acme

template struct mediant::kernel::bpf_programs<acme::nic>;
