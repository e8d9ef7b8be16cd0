// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: release takes (auto& next) and returns nothing, and is public
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
    int ioctl = 0; // public data may have any name
#ifndef MEDIANT_CORRECT
private:
#endif
    void release(auto&) {}
};
static_assert(valid<edu>);

} // namespace acme
