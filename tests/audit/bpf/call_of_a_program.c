/* SPDX-License-Identifier: BSD-3-Clause */
/* expect: call of the program mediant_read, which is the kernel.s to call, in mediant_read */
#define AT_TOP int mediant_read(unsigned long long *words);
#define IN_READ return words[1] ? mediant_read(words + 1) * mediant_read(words + 2) : 0;
#include "provider.h"
