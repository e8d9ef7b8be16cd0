// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: the map has no register of this name; the name is the second argument of check_name
// expect: check_name<false
// expect: IDENTITY
#include <mediant/registers/map.hpp>

namespace {
using namespace mediant;
constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"IDENT", 0x00, ro, {.hook = on::read}}};

#ifdef MEDIANT_CORRECT
using tag = at<bar0, "IDENT">;
#else
using tag = at<bar0, "IDENTITY">;
#endif
static_assert(tag::index == 0);
} // namespace
