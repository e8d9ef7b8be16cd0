/* SPDX-License-Identifier: BSD-3-Clause */
/* expect: its operations are of version 2, where 1 is known */
/* flags: -Wno-initializer-overrides */
#define OPS PROGRAMS, FACTS, .version = 2
#include "provider.h"
