// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: an ioctl op takes (const R&, auto& next), R a request, and returns result<R::answer>; the request is the last argument of check_ioctl
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    result<std::uint32_t> ioctl(const get_irq_info&, auto&) { return 1u; }
#else
    result<get_irq_info::answer> ioctl(const get_irq_info&, auto&) { return get_irq_info::answer{}; }
#endif
};
static_assert(valid<edu>);

} // namespace acme
