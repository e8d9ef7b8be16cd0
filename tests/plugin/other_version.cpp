// SPDX-License-Identifier: BSD-3-Clause

// A provider for a later version of the ABI.

#include <mediant/kernel/abi.h>

namespace {
constexpr mediant_provider later{.size = sizeof(mediant_provider) + 8, .version = MEDIANT_ABI_VERSION + 1, .name = "later",
                                 .state_size = 0, .state_align = 1, .match = nullptr, .construct = nullptr,
                                 .open = nullptr, .release = nullptr, .reset = nullptr, .read = nullptr,
                                 .write = nullptr, .run = nullptr, .next_area = nullptr, .rules = nullptr,
                                 .rule_count = 0, .mediates = 0, .hidden_irqs = 0, .config_run = nullptr,
                                 .config_written = nullptr, .device_info = nullptr, .region_info = nullptr,
                                 .irq_info = nullptr, .reset_device = nullptr};
}

extern "C" {
extern constinit const mediant_provider* const mediant_providers[] = {&later};
extern constinit const unsigned int mediant_provider_count = 1;
}
