/* SPDX-License-Identifier: BSD-3-Clause */
/* expect: no program: a provider.s lie in sections struct_ops.s/NAME */
#include <mediant/kernel/bpf.h>
__attribute__((section(".struct_ops.link"))) struct mediant_bpf_ops mediant_ops = {
	.version = 1, .name = "nic", .rule_count = 1,
};
__attribute__((section("license"))) char mediant_license[] = "GPL";
