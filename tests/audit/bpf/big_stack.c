/* SPDX-License-Identifier: BSD-3-Clause */
/* expect: 1[0-9][0-9][0-9] bytes of stack, where a program has 512, in mediant_read */
/* flags: -mllvm -bpf-stack-size=4096 */
#define IN_READ char bytes[1024]; asm volatile("" : : "r"(bytes) : "memory"); return 0;
#include "provider.h"
