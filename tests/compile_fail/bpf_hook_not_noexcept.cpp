// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a kernel module cannot carry a function that is not noexcept
#include <mediant/kernel/bpf_policy.hpp>
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;
#ifndef MEDIANT_CORRECT
inline constexpr bool silent = false;
#else
inline constexpr bool silent = true;
#endif
struct nic {
    static constexpr auto info = provider{"nic", {pci_id{0x1234, 0x11e8}}};
    result<void> open(auto&) noexcept(silent) { return {}; }
};
} // namespace acme

template struct mediant::kernel::bpf_programs<acme::nic>;
