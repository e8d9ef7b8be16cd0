// SPDX-License-Identifier: BSD-3-Clause

// A provider for a later version of the ABI.

#include <mediant/kernel/abi.h>

namespace {
/// Of another version nobody looks at more than the first members.
constexpr mediant_provider later = [] {
    mediant_provider out{};
    out.size = sizeof(mediant_provider) + 8;
    out.version = MEDIANT_ABI_VERSION + 1;
    out.name = "later";
    return out;
}();
}

extern "C" {
extern constinit const mediant_provider* const mediant_providers[] = {&later};
extern constinit const unsigned int mediant_provider_count = 1;
}
