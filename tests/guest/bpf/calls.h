/* SPDX-License-Identifier: BSD-3-Clause */
/* What BPF programs of these tests call of the host. */
#ifndef MEDIANT_TESTS_GUEST_BPF_CALLS_H
#define MEDIANT_TESTS_GUEST_BPF_CALLS_H

#include <linux/bpf.h>
#include <linux/errno.h>
#include <stddef.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include <mediant/kernel/bpf.h>

extern unsigned char* mediant_bpf_state(struct mediant_bpf_call* call, const size_t rdwr_buf_size) __ksym;
extern int mediant_bpf_load(struct mediant_bpf_call* call, unsigned int region, unsigned long long offset,
                            unsigned int width, unsigned long long* value) __ksym;
extern int mediant_bpf_store(struct mediant_bpf_call* call, unsigned int region, unsigned long long offset,
                             unsigned int width, unsigned long long value) __ksym;
extern int mediant_bpf_ask(struct mediant_bpf_call* call, unsigned int what, unsigned int index,
                           struct mediant_bpf_answer* answer) __ksym;
extern int mediant_bpf_reset_device(struct mediant_bpf_call* call) __ksym;
extern void mediant_bpf_log(struct mediant_bpf_call* call, const char* text__str,
                            const struct mediant_bpf_numbers* numbers) __ksym;
extern void mediant_bpf_dirty(struct mediant_bpf_call* call, unsigned long long iova, unsigned long long size) __ksym;

char licence[] SEC("license") = "GPL";

#endif
