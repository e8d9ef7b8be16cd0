/* SPDX-License-Identifier: BSD-3-Clause */
/* expect: a pointer in data, which is a number near 0 .*, in first$ */
#define AT_TOP                                                       \
	static const int second[] __attribute__((nodebug)) = {1, 2};  \
	static const struct { const int *at; } first[2] __attribute__((nodebug)) = {{second}, {second + 1}};
#define IN_READ return first[words[1] % 2].at == &second[1];
#include "provider.h"
