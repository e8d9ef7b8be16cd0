/* SPDX-License-Identifier: BSD-3-Clause */
/* expect: type nic_state in BTF, which has those of provider.bpf.c alone */
#define AT_TOP                                                       \
	struct nic_state;                                             \
	extern int mediant_bpf_of(struct nic_state *) __attribute__((section(".ksyms")));
#define IN_READ return mediant_bpf_of((void *)words[1]);
#include "provider.h"
