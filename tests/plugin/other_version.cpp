// SPDX-License-Identifier: BSD-3-Clause

// A provider for a later version of the ABI.

#include <mediant/kernel/abi.h>

namespace {
constexpr mediant_provider later = [] {
    mediant_provider made{};
    made.size = sizeof made + 8;
    made.version = MEDIANT_ABI_VERSION + 1;
    made.name = "later";
    return made;
}();
}

extern "C" {
extern constinit const mediant_provider* const mediant_providers[] = {&later};
extern constinit const unsigned int mediant_provider_count = 1;
}
