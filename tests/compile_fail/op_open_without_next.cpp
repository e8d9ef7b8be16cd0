// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: open takes (auto& next) and returns result<void>
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    result<void> open() { return {}; }
#else
    result<void> open(auto&) { return {}; }
#endif
};
static_assert(valid<edu>);

} // namespace acme
