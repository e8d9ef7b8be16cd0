// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: only 1, 2, 4 or 8 bytes of config space can be read or assigned by name
#include <mediant/device/memory_device.hpp>
#include <mediant/mediant.hpp>
#include <mediant/provider/stack.hpp>

namespace acme {
using namespace mediant;

struct nic {
    static constexpr auto config = config_map{shadow_bytes{"SCRATCH", 0x40, 4}, shadow_bytes{"LONG", 0x44, 6},
                                              observe_writes{"POWER", 0x50, 2}};
    static constexpr auto regions = mediant::regions<config>{};
    result<void> written(at<config, "POWER">, lanes<std::uint16_t>, [[maybe_unused]] auto& next) {
#ifndef MEDIANT_CORRECT
        next.assign(at<config, "LONG">{}, 1u);
#else
        next.assign(at<config, "SCRATCH">{}, 1u);
#endif
        return {};
    }
};
using device_type = stack<device::memory_device, nic>;
answer use(device_type& device, write_access a) { return device.write(a); }

} // namespace acme
