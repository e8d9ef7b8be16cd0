// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a register has 8, 16, 32 or 64 bits; the name of the one that has not is the argument of check_width
// expect: check_width<false
// expect: WIDE
#include <mediant/registers/checks.hpp>
#include <mediant/registers/map.hpp>

namespace {
using namespace mediant;
#ifdef MEDIANT_CORRECT
constexpr unsigned bits = 64;
#else
constexpr unsigned bits = 128;
#endif
constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"WIDE", 0x00, rw, {.bits = bits}}};
static_assert(detail::check_map<bar0>());
} // namespace
