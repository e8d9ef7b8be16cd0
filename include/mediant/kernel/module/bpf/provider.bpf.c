// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * A BPF provider: its programs, which are the policy's functions (policy.cpp), and the structure by
 * which the host knows them. All that the kernel is told of types is said here, in C.
 */
#include <mediant/kernel/bpf.h>

#include "ops.h"

#define MEDIANT_SECTION(name) __attribute__((section(name), used))
#define MEDIANT_HOST __attribute__((section(".ksyms")))

/* What the host offers; the verifier compares these types with its own. */
extern unsigned char *mediant_bpf_state(struct mediant_bpf_call *call,
					const unsigned long rdwr_buf_size) MEDIANT_HOST;
extern int mediant_bpf_load(struct mediant_bpf_call *call, unsigned int region,
			    unsigned long long offset, unsigned int width,
			    unsigned long long *value) MEDIANT_HOST;
extern int mediant_bpf_store(struct mediant_bpf_call *call, unsigned int region,
			     unsigned long long offset, unsigned int width,
			     unsigned long long value) MEDIANT_HOST;
extern int mediant_bpf_ask(struct mediant_bpf_call *call, unsigned int what, unsigned int index,
			   struct mediant_bpf_answer *answer) MEDIANT_HOST;
extern int mediant_bpf_reset_device(struct mediant_bpf_call *call) MEDIANT_HOST;
extern void mediant_bpf_log(struct mediant_bpf_call *call, const char *text__str,
			    const struct mediant_bpf_numbers *numbers) MEDIANT_HOST;
extern void mediant_bpf_dirty(struct mediant_bpf_call *call, unsigned long long iova,
			      unsigned long long size) MEDIANT_HOST;
extern int mediant_bpf_trigger(struct mediant_bpf_call *call, unsigned int index,
			       unsigned int vector) MEDIANT_HOST;

/* The policy. */
int mediant_policy_open(struct mediant_bpf_call *call);
int mediant_policy_release(struct mediant_bpf_call *call);
int mediant_policy_reset(struct mediant_bpf_call *call);
int mediant_policy_read(struct mediant_bpf_call *call, unsigned int region,
			unsigned long long offset, unsigned int size);
int mediant_policy_write(struct mediant_bpf_call *call, unsigned int region,
			 unsigned long long offset, unsigned int size, unsigned long long value);
int mediant_policy_device_info(struct mediant_bpf_call *call);
int mediant_policy_region_info(struct mediant_bpf_call *call, unsigned int region);
int mediant_policy_irq_info(struct mediant_bpf_call *call, unsigned int index);
int mediant_policy_reset_device(struct mediant_bpf_call *call);

/* A program has its arguments in words; of narrower ones a word's upper half says nothing. */
#define MEDIANT_PROGRAM(name) \
	MEDIANT_SECTION("struct_ops.s/" #name) int mediant_##name(unsigned long long *words)
#define MEDIANT_CALL ((struct mediant_bpf_call *)words[0])
#define MEDIANT_NARROW(n) ((unsigned int)words[n])

/* The policy alone calls the host; that it is known here as what, clang keeps of calls. */
static void mediant_name_host(struct mediant_bpf_call *call)
{
	struct mediant_bpf_numbers numbers = { 0 };
	struct mediant_bpf_answer answer;
	unsigned long long value;

	mediant_bpf_state(call, 0);
	mediant_bpf_load(call, 0, 0, 0, &value);
	mediant_bpf_store(call, 0, 0, 0, 0);
	mediant_bpf_ask(call, 0, 0, &answer);
	mediant_bpf_reset_device(call);
	mediant_bpf_log(call, "", &numbers);
	mediant_bpf_dirty(call, 0, 0);
	mediant_bpf_trigger(call, 0, 0);
}

MEDIANT_PROGRAM(open)
{
	int never = 0;

	if (never)
		mediant_name_host(MEDIANT_CALL);
	return mediant_policy_open(MEDIANT_CALL);
}

MEDIANT_PROGRAM(release)
{
	return mediant_policy_release(MEDIANT_CALL);
}

MEDIANT_PROGRAM(reset)
{
	return mediant_policy_reset(MEDIANT_CALL);
}

MEDIANT_PROGRAM(read)
{
	return mediant_policy_read(MEDIANT_CALL, MEDIANT_NARROW(1), words[2], MEDIANT_NARROW(3));
}

MEDIANT_PROGRAM(write)
{
	return mediant_policy_write(MEDIANT_CALL, MEDIANT_NARROW(1), words[2], MEDIANT_NARROW(3),
				    words[4]);
}

#if MEDIANT_OPS_MEDIATES & MEDIANT_DEVICE_INFO
MEDIANT_PROGRAM(device_info)
{
	return mediant_policy_device_info(MEDIANT_CALL);
}
#endif

#if MEDIANT_OPS_MEDIATES & MEDIANT_REGION_INFO
MEDIANT_PROGRAM(region_info)
{
	return mediant_policy_region_info(MEDIANT_CALL, MEDIANT_NARROW(1));
}
#endif

#if MEDIANT_OPS_MEDIATES & MEDIANT_IRQ_INFO
MEDIANT_PROGRAM(irq_info)
{
	return mediant_policy_irq_info(MEDIANT_CALL, MEDIANT_NARROW(1));
}
#endif

#if MEDIANT_OPS_MEDIATES & MEDIANT_RESET_DEVICE
MEDIANT_PROGRAM(reset_device)
{
	return mediant_policy_reset_device(MEDIANT_CALL);
}
#endif

/* libbpf takes a program's place for a pointer to a function, whatever its type. */
#define MEDIANT_OP(name) \
	.name = (__typeof__(((struct mediant_bpf_ops *)0)->name))(void (*)(void))mediant_##name

MEDIANT_SECTION(".struct_ops.link") struct mediant_bpf_ops mediant_ops = {
	MEDIANT_OP(open),
	MEDIANT_OP(release),
	MEDIANT_OP(reset),
	MEDIANT_OP(read),
	MEDIANT_OP(write),
#if MEDIANT_OPS_MEDIATES & MEDIANT_DEVICE_INFO
	MEDIANT_OP(device_info),
#endif
#if MEDIANT_OPS_MEDIATES & MEDIANT_REGION_INFO
	MEDIANT_OP(region_info),
#endif
#if MEDIANT_OPS_MEDIATES & MEDIANT_IRQ_INFO
	MEDIANT_OP(irq_info),
#endif
#if MEDIANT_OPS_MEDIATES & MEDIANT_RESET_DEVICE
	MEDIANT_OP(reset_device),
#endif
	.version = MEDIANT_BPF_VERSION,
	.state_size = MEDIANT_OPS_STATE_SIZE,
	.identity = MEDIANT_OPS_IDENTITY,
	.mediates = MEDIANT_OPS_MEDIATES,
	.rule_count = MEDIANT_OPS_RULE_COUNT,
	.range_count = MEDIANT_OPS_RANGE_COUNT,
	.name = MEDIANT_OPS_NAME,
	.rules = { MEDIANT_OPS_RULES },
	.ranges = { MEDIANT_OPS_RANGES },
};

MEDIANT_SECTION("license") char mediant_license[] = MEDIANT_OPS_LICENSE;
