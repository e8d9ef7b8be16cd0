/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Providers that are BPF programs: see mediant/kernel/bpf.h.
 *
 *	bpf.c		what the kernel's BPF is told: the type of a provider, who is let in, and
 *			what a program may write
 *	bpf_slots.c	which providers there are: attached, replaced, withdrawn
 *	bpf_provider.c	one of them as the rest of the host sees it
 *	bpf_calls.c	what programs call
 *
 * A slot stands for a provider of a name, as long as its programs are attached or devices are open
 * that it serves. A program is found and called under the policy lock of a device that is among its
 * slot's; it may sleep, and nothing else keeps its code. Who takes programs away has nobody find
 * them any more, and then takes each of these devices' locks once: what runs under one of them
 * began before, and ends before it is had. So an access pays nothing for what seldom happens.
 *
 * Lock order: policy lock, mediant_bpf_lock, the registry's.
 */
#ifndef MEDIANT_BPF_SLOTS_H
#define MEDIANT_BPF_SLOTS_H

#include <linux/types.h>

struct mediant_provider;

#ifdef MEDIANT_HAS_BPF

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/refcount.h>

#include "device.h"

#include <mediant/kernel/bpf.h>

/* Of one region: [offset, end). */
struct mediant_bpf_trap {
	u64 offset;
	u64 end;
};

struct mediant_bpf_slot {
	struct list_head list; /* under mediant_bpf_lock */
	refcount_t users; /* devices, and one for what is attached */
	atomic_t devices; /* open, or being opened or closed */
	struct list_head states; /* of devices that call programs; under mediant_bpf_lock */
	/* NULL while withdrawn; changed under mediant_bpf_lock, and see above */
	const struct mediant_bpf_ops *ops;
	struct mediant_provider provider;

	/* What the programs were attached with; constant. */
	char name[MEDIANT_BPF_NAME];
	u64 identity;
	u32 state_size;
	struct mediant_rule rules[MEDIANT_BPF_RULES];
	/* By place, and neighbours joined; those of region n are [first[n], first[n + 1]). */
	unsigned int first[MEDIANT_REGIONS + 1];
	struct mediant_bpf_trap traps[MEDIANT_BPF_RANGES];
};

/* What the rest of the host has as a policy's state; under the policy lock but where it says so. */
struct mediant_bpf_state {
	struct list_head list; /* under mediant_bpf_lock */
	u64 round; /* of mediant_bpf_drain(); under mediant_bpf_lock */
	struct mediant_bpf_slot *slot; /* constant */
	struct mediant_device *mdev; /* constant */
	const struct mediant_below *below; /* constant */
	bool stale; /* a reset that the programs know nothing of */
	bool resetting; /* they are being told: nothing may touch the device */
	struct mediant_bpf_call call;
	u64 bytes[]; /* what the programs have as their state */
};

/* Bytes of state that a program can have. */
#define MEDIANT_BPF_MOST_STATE (MEDIANT_MOST_STATE - sizeof(struct mediant_bpf_state))

/* bpf_slots.c */
void mediant_bpf_join(struct mediant_bpf_state *state);
void mediant_bpf_leave(struct mediant_bpf_state *state);
int mediant_bpf_attach(const struct mediant_bpf_ops *ops);
int mediant_bpf_replace(const struct mediant_bpf_ops *ops, const struct mediant_bpf_ops *old);
void mediant_bpf_withdraw(const struct mediant_bpf_ops *ops);

/* bpf_provider.c */
void mediant_bpf_fill(struct mediant_provider *provider);

/* bpf_calls.c */
int mediant_bpf_offer_calls(void);
u8 *mediant_bpf_state(struct mediant_bpf_call *call, const size_t rdwr_buf_size);
int mediant_bpf_load(struct mediant_bpf_call *call, unsigned int region, unsigned long long offset,
		     unsigned int width, unsigned long long *value);
int mediant_bpf_store(struct mediant_bpf_call *call, unsigned int region, unsigned long long offset,
		      unsigned int width, unsigned long long value);
int mediant_bpf_ask(struct mediant_bpf_call *call, unsigned int what, unsigned int index,
		    struct mediant_bpf_answer *answer);
int mediant_bpf_reset_device(struct mediant_bpf_call *call);
void mediant_bpf_log(struct mediant_bpf_call *call, const char *text__str,
		     const struct mediant_bpf_numbers *numbers);
void mediant_bpf_dirty(struct mediant_bpf_call *call, unsigned long long iova,
		       unsigned long long size);
int mediant_bpf_trigger(struct mediant_bpf_call *call, unsigned int index, unsigned int vector);

/* bpf.c */
struct bpf_prog;
bool mediant_bpf_is_ours(const struct bpf_prog *prog);

/* For providers.c: takes BPF providers from now on, if the kernel and this module can. */
bool mediant_bpf_init(void);
/* One line for each provider; bytes written. */
int mediant_bpf_show(char *page);
/* Lets go of one that vfio_pci_mediate_next() gave out. */
void mediant_bpf_put(const struct mediant_provider *provider);

#else

static inline bool mediant_bpf_init(void)
{
	pr_info("no BPF providers: this kernel has no struct_ops of modules, or is built without BTF of modules\n");
	return false;
}

static inline int mediant_bpf_show(char *page)
{
	return 0;
}

static inline void mediant_bpf_put(const struct mediant_provider *provider)
{
}

#endif

#endif /* MEDIANT_BPF_SLOTS_H */
