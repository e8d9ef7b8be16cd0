// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: only a dynamic range can be trapped and untrapped
#include <mediant/mediant.hpp>
#include <mediant/provider/stack.hpp>

namespace acme {
using namespace mediant;

struct bare_device {
    unsigned max_access() const { return 4; }
    result<std::uint64_t> load(region_index, std::uint64_t, unsigned) { return std::uint64_t{0}; }
    result<void> store(region_index, std::uint64_t, unsigned, std::uint64_t) { return {}; }
};
struct full_device : bare_device {
    result<void> revoke(region_index, range) { return {}; }
    void regions_changed() {}
};
using device = full_device;
struct edu {
    static constexpr auto bar0 = region_map{bar{0}, 64_KiB, reg{"KEPT", 0x00, rw, {.backing = from::shadow, .count = 2}}, reg{"LIVE", 0x08}, dynamic{"APERTURE", 0x1000, 4_KiB},
                                            reg{"FIELDS", 0x10, fields{field{"A", 0, 32, ro}}}, reg{"MODE", 0x14, fields{field{"A", 0, 32, rw, {.backing = from::shadow}}}}};
    static constexpr auto regions = mediant::regions<bar0>{};
    result<void> open(auto& next) {
#ifndef MEDIANT_CORRECT
        if (!next.untrap(at<bar0, "LIVE">{})) return error::busy;
#else
        if (!next.untrap(at<bar0, "APERTURE">{})) return error::busy;
#endif
        return {};
    }
};
result<void> open(stack<device, edu>& s) { return s.open(); }

} // namespace acme
