// SPDX-License-Identifier: BSD-3-Clause
// expect: this text is nowhere
#ifndef MEDIANT_CORRECT
static_assert(false, "a mistake");
#endif
