// SPDX-License-Identifier: BSD-3-Clause
#include <mediant/mediant.hpp>

#include <cstdio>

int main() {
    constexpr mediant::pci_id rule{0x1234, 0x11e8};
    constexpr mediant::device_id device{.vendor = 0x1234, .device = 0x11e8};
    std::puts(rule.matches(device) ? "matches" : "does not match");
    return rule.matches(device) ? 0 : 1;
}
