/* SPDX-License-Identifier: BSD-3-Clause */
/* expect: a pointer in data, which is a number near 0 .*, in names$ */
#define AT_TOP static const char *const names[] __attribute__((nodebug)) = {"a", "b", "c"};
#define IN_READ asm volatile("" : : "r"(names[words[1] % 3])); return 0;
#include "provider.h"
