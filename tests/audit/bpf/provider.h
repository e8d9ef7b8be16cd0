/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The least that a provider's object is, for cases that each break one rule: programs that do nothing, unless a case
 * defines IN_READ or others of these macros before it includes this.
 */
#include <mediant/kernel/bpf.h>

#ifndef AT_TOP
#define AT_TOP
#endif
#ifndef IN_READ
#define IN_READ return 0;
#endif
#ifndef SECTION_OF_RESET
#define SECTION_OF_RESET "struct_ops.s/reset"
#endif
#ifndef OPS
#define OPS PROGRAMS, FACTS
#endif
#ifndef SECTION_OF_OPS
#define SECTION_OF_OPS ".struct_ops.link"
#endif
#ifndef LICENSE
#define LICENSE "Dual BSD/GPL"
#endif

#define SECTION(name) __attribute__((section(name), used))
#define PROGRAM(name) SECTION("struct_ops.s/" #name) int mediant_##name(unsigned long long *words)
#define OP(name) .name = (void *)mediant_##name
#define PROGRAMS OP(open), OP(release), OP(reset), OP(read), OP(write)
#define FACTS .version = MEDIANT_BPF_VERSION, .name = "nic", .rule_count = 1

AT_TOP

PROGRAM(open) { return 0; }
PROGRAM(release) { return 0; }
SECTION(SECTION_OF_RESET) int mediant_reset(unsigned long long *words) { return 0; }
PROGRAM(read) { IN_READ }
PROGRAM(write) { return 0; }

SECTION(SECTION_OF_OPS) struct mediant_bpf_ops mediant_ops = {OPS};
#ifndef NO_LICENSE
SECTION("license") char mediant_license[] = LICENSE;
#endif
