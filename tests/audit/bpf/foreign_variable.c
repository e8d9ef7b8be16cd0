/* SPDX-License-Identifier: BSD-3-Clause */
/* expect: variable table in BTF, which has those of provider.bpf.c alone */
#define AT_TOP static const int table[] = {3, 1, 4, 1, 5};
#define IN_READ return table[words[1] % 5];
#include "provider.h"
