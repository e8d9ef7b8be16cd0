// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: what a policy that migrates has in a kernel module, its state twice and its longest chunk of a stream, has at most 256 KiB; the provider and its bytes are the arguments of check_object_size
// expect: check_object_size<false
// expect: "nic"
#include <mediant/kernel/policy_object.hpp>
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;
/// A field for each byte, whose name is longer.
#ifdef MEDIANT_CORRECT
constexpr std::uint32_t shadows = 1024;
#else
constexpr std::uint32_t shadows = 8192;
#endif
struct nic {
    static constexpr auto info = provider{"nic", {pci_id{0x1234, 0x11e8}}};
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB,
        reg{"SEVENTY_BYTES_OF_A_NAME_THAT_IS_IN_THE_STREAM_ONCE_FOR_EACH_ELEMENT_OF_IT", 0, rw,
            {.backing = from::shadow, .count = shadows}}};
    static constexpr auto regions = mediant::regions<bar0>{};
    static constexpr auto migration() { return saved_state{1, saved_registers<bar0>{}}; }
    result<std::size_t> save(std::uint64_t, std::span<std::byte>, auto&) noexcept { return std::size_t{0}; }
    result<void> restore(std::uint64_t, std::span<const std::byte>, auto&) noexcept { return {}; }
};
} // namespace acme

extern const mediant_provider& table;
const mediant_provider& table = mediant::kernel::provider_table<acme::nic>;
