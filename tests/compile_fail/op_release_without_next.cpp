// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: release takes (auto& next) and returns nothing
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    void release() {}
#else
    void release(auto&) {}
#endif
};
static_assert(valid<edu>);

} // namespace acme
