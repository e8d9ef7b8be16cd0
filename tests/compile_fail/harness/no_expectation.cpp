// SPDX-License-Identifier: BSD-3-Clause
#ifndef MEDIANT_CORRECT
static_assert(false, "a mistake");
#endif
