// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: only a register with a shadow holds a value
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
    full_device& dma() { return *this; }
    void log(const char*, std::uint64_t = 0, std::uint64_t = 0, std::uint64_t = 0) {}
    result<void> trigger(irq_index, std::uint32_t) { return {}; }
};
struct edu {
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"KEPT", 0x00, rw, {.backing = from::shadow}}, reg{"LIVE", 0x04}, block{"DMA", 0x80, 0x20, {.backing = from::shadow}}};
    static constexpr auto regions = mediant::regions<bar0>{};
    result<void> open(auto& next) {
#ifndef MEDIANT_CORRECT
        static_cast<void>(next.held(at<bar0, "LIVE">{}));
#else
        static_cast<void>(next.held(at<bar0, "KEPT">{}));
#endif
        return {};
    }
};
result<void> open(stack<full_device, edu>& s) { return s.open(); }

} // namespace acme
