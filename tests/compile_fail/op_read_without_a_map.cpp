// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a read or write op sees the regions that the policy has maps of, and it has none
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    answer read(read_access a, auto& next) { return next.read(a); }
#else

#endif
};
static_assert(valid<edu>);

} // namespace acme
