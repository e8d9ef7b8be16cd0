// SPDX-License-Identifier: BSD-3-Clause
// expect: of I/O from 4 to 256 bytes
// expect: io_bar 0
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct nic {
    static constexpr auto config = config_map{
#ifndef MEDIANT_CORRECT
        io_bar{0, 512}};
#else
        io_bar{0, 256}};
#endif
    static constexpr auto regions = mediant::regions<config>{};
};
static_assert(valid<nic>);

} // namespace acme
