/* SPDX-License-Identifier: BSD-3-Clause */
/* expect: static constructor or destructor in section .init_array: begin */
#define AT_TOP __attribute__((constructor, nodebug)) static void begin(void) { asm volatile("r0 = 0"); }
#include "provider.h"
