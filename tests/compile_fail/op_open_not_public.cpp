// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: open takes (auto& next) and returns result<void>, and is public
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
    int ioctl = 0; // public data may have any name
#ifndef MEDIANT_CORRECT
private:
#endif
    result<void> open(auto&) { return {}; }
};
static_assert(valid<edu>);

} // namespace acme
