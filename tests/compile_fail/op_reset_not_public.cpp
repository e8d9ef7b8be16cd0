// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: reset takes nothing and returns nothing: it touches no device, and is public
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
    int ioctl = 0; // public data may have any name
#ifndef MEDIANT_CORRECT
private:
#endif
    void reset() {}
};
static_assert(valid<edu>);

} // namespace acme
