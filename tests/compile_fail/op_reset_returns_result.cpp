// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: reset takes nothing and returns nothing: it touches no device
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    result<void> reset() { return {}; }
#else
    void reset() {}
#endif
};
static_assert(valid<edu>);

} // namespace acme
