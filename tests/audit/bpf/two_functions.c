/* SPDX-License-Identifier: BSD-3-Clause */
/* expect: section struct_ops.s/reset has several functions, of which a loader takes one:  */
#define AT_TOP SECTION("struct_ops.s/reset") int mediant_reset_too(unsigned long long *words) { return 1; }
#include "provider.h"
