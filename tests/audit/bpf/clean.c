/* SPDX-License-Identifier: BSD-3-Clause */
#define AT_TOP                                                                   \
	extern int mediant_bpf_load(struct mediant_bpf_call *call, unsigned int region,   \
				    unsigned long long offset, unsigned int width,        \
				    unsigned long long *value) __attribute__((section(".ksyms"))); \
	static const unsigned int table[] __attribute__((nodebug)) = {3, 1, 4, 1, 5};
#define IN_READ                                                                    \
	unsigned long long value = 0;                                              \
	mediant_bpf_load((void *)words[0], 0, words[1], 4, &value);                \
	return table[value % 5];
#include "provider.h"
