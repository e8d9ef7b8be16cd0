/* SPDX-License-Identifier: BSD-3-Clause */
/* expect: its operations name no provider */
/* flags: -Wno-initializer-overrides */
#define OPS PROGRAMS, FACTS, .name = ""
#include "provider.h"
