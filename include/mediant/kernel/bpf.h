/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * What the host and a BPF provider know of each other: a struct_ops type, and the functions of the
 * host's that a program may call. The verifier checks each program against the types that the
 * running host has; libbpf matches structures by name and members by name.
 *
 * struct mediant_bpf_ops only ever grows at its end, and a member's meaning never changes: an
 * object that leaves new members out, or sets them to 0, goes on loading. Of what is optional, 0 is
 * that it is not mediated.
 *
 * Errors are negative errno numbers. Programs are sleepable; those of one open device are
 * serialised by the host, and never run in an interrupt.
 */
#ifndef MEDIANT_KERNEL_BPF_H
#define MEDIANT_KERNEL_BPF_H

#include <mediant/kernel/abi.h>

#define MEDIANT_BPF_VERSION 1u
#define MEDIANT_BPF_NAME 32u
#define MEDIANT_BPF_RULES 32u
#define MEDIANT_BPF_RANGES 512u
#define MEDIANT_BPF_ANSWERS 3u

/* Bytes of one call: a part of an access, which lies in one register or in one block. */
#define MEDIANT_BPF_BYTES 8u

/* A stretch of a region that is trapped. */
struct mediant_bpf_range {
	unsigned long long offset;
	unsigned long long size;
	unsigned int region;
	unsigned int reserved; /* 0 */
};

/*
 * One call of a program, for one open device. A program may read it and write to what is not
 * marked; the host has it in memory of its own, and takes it back when the program returns.
 */
struct mediant_bpf_call {
	unsigned long long value; /* what a read answers, little-endian in its low bytes */
	/* What a request answers, in the order of the arguments of mediant_provider's. */
	unsigned long long answers[MEDIANT_BPF_ANSWERS];
	/*
	 * NULL, and not to be used. A struct of numbers alone could be on a program's stack for all
	 * that the verifier cares; one with a pointer in it is the host's own, as the functions
	 * below need it.
	 */
	const void *host;
};

/*
 * A provider. The programs are struct_ops.s (they may sleep) and get struct mediant_bpf_call as a
 * trusted pointer. Numbers are passed as arguments, since they are cheaper than memory.
 */
struct mediant_bpf_ops {
	/*
	 * Constructs and opens: the state is all zeros. -ENODEV declines the device. After an error
	 * the state is dropped without release.
	 */
	int (*open)(struct mediant_bpf_call *call);
	int (*release)(struct mediant_bpf_call *call); /* 0 */
	/*
	 * The device was reset. May be called with the core's memory lock held: touches no device,
	 * and the verifier is not asked for that: load and store fail meanwhile.
	 */
	int (*reset)(struct mediant_bpf_call *call); /* 0 */

	/*
	 * The first part of an access of `size` bytes, 1 to MEDIANT_BPF_BYTES and within as many
	 * that are aligned, that begins in a range that is trapped: bytes done, at least 1 and at
	 * most `size`, or -errno. The host goes on with what is left.
	 */
	int (*read)(struct mediant_bpf_call *call, unsigned int region, unsigned long long offset,
		    unsigned int size);
	int (*write)(struct mediant_bpf_call *call, unsigned int region, unsigned long long offset,
		     unsigned int size, unsigned long long value);

	/* As mediant_provider's of these names; optional, see mediates. They fill call->answers. */
	int (*device_info)(struct mediant_bpf_call *call);
	int (*region_info)(struct mediant_bpf_call *call, unsigned int region);
	int (*irq_info)(struct mediant_bpf_call *call, unsigned int index);
	int (*reset_device)(struct mediant_bpf_call *call);

	/* What it is. */
	unsigned int version;    /* MEDIANT_BPF_VERSION that it was made for */
	unsigned int state_size; /* bytes of one open device's state, aligned to 8 */
	/* Equal where registers, ranges and state are: a replacement's must be. */
	unsigned long long identity;
	unsigned int mediates;   /* MEDIANT_DEVICE_INFO, REGION_INFO, IRQ_INFO, RESET_DEVICE */
	unsigned int rule_count;
	unsigned int range_count;
	unsigned int reserved; /* 0 */
	char name[MEDIANT_BPF_NAME];
	struct mediant_rule rules[MEDIANT_BPF_RULES];
	/* By region, then by offset; without overlap. */
	struct mediant_bpf_range ranges[MEDIANT_BPF_RANGES];
};

/*
 * What a program may call (kernel functions, declared by whoever calls them, since the kernel's own
 * attributes differ), and no helpers. `call` is the argument of the program.
 *
 *	unsigned char *mediant_bpf_state(struct mediant_bpf_call *call, const size_t rdwr_buf_size);
 *		The device's state, of which the program may reach `rdwr_buf_size` bytes; NULL
 *		where there are fewer.
 *	int mediant_bpf_load(call, unsigned int region, unsigned long long offset,
 *			     unsigned int width, unsigned long long *value);
 *	int mediant_bpf_store(call, unsigned int region, unsigned long long offset,
 *			      unsigned int width, unsigned long long value);
 *		mediant_below's, where the widest natural access is 8.
 *	int mediant_bpf_ask(call, unsigned int what, unsigned int index,
 *			    struct mediant_bpf_answer *answer);
 *		What the device below answers; `what` is MEDIANT_DEVICE_INFO and its like.
 *	int mediant_bpf_reset_device(call);
 *	void mediant_bpf_log(call, const char *text__str,
 *			     const struct mediant_bpf_numbers *numbers);
 *		To the device's log, rate-limited: a literal without control characters, which the
 *		verifier wants in a section of read-only data, ended by a 0; and its numbers, which
 *		it wants on the stack.
 *	void mediant_bpf_dirty(call, unsigned long long iova, unsigned long long size);
 *	int mediant_bpf_trigger(call, unsigned int index, unsigned int vector);
 *		mediant_below's.
 */
struct mediant_bpf_answer {
	unsigned long long values[MEDIANT_BPF_ANSWERS];
};

struct mediant_bpf_numbers {
	unsigned int count; /* 0 to 3 */
	unsigned int reserved;
	unsigned long long values[3];
};

#endif /* MEDIANT_KERNEL_BPF_H */
