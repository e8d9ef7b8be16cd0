/* SPDX-License-Identifier: BSD-3-Clause */
/* expect: its operations have no rule */
/* flags: -Wno-initializer-overrides */
#define OPS PROGRAMS, FACTS, .rule_count = 0
#include "provider.h"
