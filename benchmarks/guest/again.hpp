// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "edu/edu.hpp"

namespace benchmark_guest {
using namespace mediant;

/// The edu example under a rule of its own, so that it serves one device while the example itself serves another.
struct edu_again : acme::edu {
    static constexpr auto info = provider{"edu_again", {pci_id{0x1234, 0x11e8, 0x1af4, 0x1100}}, {.author = "Acme"}};
};
static_assert(valid<edu_again>);

} // namespace benchmark_guest
