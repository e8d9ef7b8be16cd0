// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a policy is default-constructible: an open makes one
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    explicit edu(int) {}
#else
    edu() = default;
#endif
};
static_assert(valid<edu>);

} // namespace acme
