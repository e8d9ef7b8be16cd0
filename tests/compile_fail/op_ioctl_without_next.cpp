// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: an ioctl op takes (const R&, auto& next), R a request, and returns result<R::answer>; the request is the last argument of check_ioctl
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    result<void> ioctl(const reset_device&) { return {}; }
#else
    result<void> ioctl(const reset_device&, auto&) { return {}; }
#endif
};
static_assert(valid<edu>);

} // namespace acme
