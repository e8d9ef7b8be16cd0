// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: two registers overlap; their names are the arguments of check_overlap
// expect: check_overlap<false
// expect: LEFT
// expect: RIGHT
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
    static constexpr auto info = provider{"edu", {pci_id{0x1234, 0x11e8}}};
#ifndef MEDIANT_CORRECT
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"LEFT", 0x00, ro}, reg{"RIGHT", 0x00, ro}};
#else
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"LEFT", 0x00, ro}, reg{"RIGHT", 0x04, ro}};
#endif
    static constexpr auto regions = mediant::regions<bar0>{};
};
using devices = registry<edu>;
static_assert(devices::size == 1);

} // namespace acme
