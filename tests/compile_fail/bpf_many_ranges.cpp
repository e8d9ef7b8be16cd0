// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a BPF provider's maps trap at most 512 stretches that do not touch
#include <mediant/kernel/bpf_policy.hpp>
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;
#ifndef MEDIANT_CORRECT
inline constexpr std::uint32_t count = 513;
#else
inline constexpr std::uint32_t count = 512;
#endif
struct nic {
    static constexpr auto info = provider{"nic", {pci_id{0x1234, 0x11e8}}};
    static constexpr auto bar0 =
        region_map{bar{0}, 64_KiB, reg{"SPARSE", 0, rw, {.backing = from::shadow, .count = count, .stride = 8}}};
    static constexpr auto regions = mediant::regions<bar0>{};
};
} // namespace acme

template struct mediant::kernel::bpf_programs<acme::nic>;
