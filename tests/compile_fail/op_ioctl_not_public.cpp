// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: the policy has an ioctl that takes no request, or is not public
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
private:
#endif
    result<void> ioctl(const reset_device& what, auto& next) { return next.ioctl(what); }
};
static_assert(valid<edu>);

} // namespace acme
