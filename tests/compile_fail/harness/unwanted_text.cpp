// SPDX-License-Identifier: BSD-3-Clause
// expect: mistake
// expect-not: a mistake
#ifndef MEDIANT_CORRECT
static_assert(false, "a mistake");
#endif
