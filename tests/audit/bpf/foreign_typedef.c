/* SPDX-License-Identifier: BSD-3-Clause */
/* expect: type offset in BTF, which has those of provider.bpf.c alone */
#define AT_TOP                                                       \
	typedef unsigned long long offset;                            \
	extern int mediant_bpf_of(offset) __attribute__((section(".ksyms")));
#define IN_READ return mediant_bpf_of(words[1]);
#include "provider.h"
