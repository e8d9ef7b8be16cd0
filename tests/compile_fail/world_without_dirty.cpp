// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: this world has no log of what a device writes by DMA
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
    void dirty(std::uint64_t, std::uint64_t) {}
    void log(const char*, std::uint64_t = 0, std::uint64_t = 0, std::uint64_t = 0) {}
    result<void> trigger(irq_index, std::uint32_t) { return {}; }
};
struct edu {
    result<void> open(auto& next) {
        next.dirty(0x1000, 64);
        return {};
    }
};
#ifndef MEDIANT_CORRECT
using device = bare_device;
#else
using device = full_device;
#endif
result<void> open(stack<device, edu>& s) { return s.open(); }

} // namespace acme
