// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a module on vfio-pci-core needs a licence that is compatible with the GPL
#include <mediant/kernel/policy_object.hpp>
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;
#ifdef MEDIANT_CORRECT
constexpr provider_details details{.license = "GPL"};
#else
constexpr provider_details details{.license = "Proprietary"};
#endif
struct nic {
    static constexpr auto info = provider{"nic", {pci_id{0x1234, 0x11e8}}, details};
};
} // namespace acme

extern const mediant_provider& table;
const mediant_provider& table = mediant::kernel::provider_table<acme::nic>;
