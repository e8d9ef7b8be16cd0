/* SPDX-License-Identifier: BSD-3-Clause */
/* expect: function out of line.*: mediant_reset */
#define SECTION_OF_RESET "struct_ops/reset"
#include "provider.h"
