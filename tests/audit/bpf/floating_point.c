/* SPDX-License-Identifier: BSD-3-Clause */
/* expect: floating point in BTF: double */
#define AT_TOP extern int mediant_bpf_of(double) __attribute__((section(".ksyms")));
#define IN_READ return mediant_bpf_of(0);
#include "provider.h"
