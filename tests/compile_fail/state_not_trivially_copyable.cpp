// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a policy is trivially copyable: its state is one blob that a kernel can hold
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    ~edu() {}
#else
    ~edu() = default;
#endif
};
static_assert(valid<edu>);

} // namespace acme
