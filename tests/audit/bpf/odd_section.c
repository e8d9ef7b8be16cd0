/* SPDX-License-Identifier: BSD-3-Clause */
/* expect: section .tables is not one that a provider.s object has: table */
#define AT_TOP static const int table[] __attribute__((nodebug, section(".tables"))) = {3, 1, 4, 1, 5};
#define IN_READ return table[words[1] % 5];
#include "provider.h"
