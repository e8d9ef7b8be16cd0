// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * What the programs of a provider call. The verifier sees to it that the call is the very one that
 * the program was called with (of a type that has a pointer, so that a program cannot make one up),
 * and that pointers lead to as many bytes as there must be; what numbers say is for here.
 */
#include <linux/bpf.h>
#include <linux/bpf_verifier.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/ctype.h>
#include <linux/module.h>

#include "bpf_slots.h"

#ifndef KF_TRUSTED_ARGS
#define KF_TRUSTED_ARGS 0 /* newer kernels trust no others */
#endif

static struct mediant_bpf_state *mediant_bpf_state_of(struct mediant_bpf_call *call)
{
	return container_of(call, struct mediant_bpf_state, call);
}

/* What an object says is one line of the log, and nothing that could pass for another one. */
static const char *mediant_bpf_line(const char *text)
{
	const char *at;

	for (at = text; *at; at++)
		if (iscntrl(*at))
			return "a BPF provider's text with control characters";
	return text;
}

__bpf_kfunc_start_defs();

/* NULL where the state has fewer bytes. */
__bpf_kfunc u8 *mediant_bpf_state(struct mediant_bpf_call *call, const size_t rdwr_buf_size)
{
	struct mediant_bpf_state *state = mediant_bpf_state_of(call);

	return rdwr_buf_size <= state->slot->state_size ? (u8 *)state->bytes : NULL;
}

__bpf_kfunc int mediant_bpf_load(struct mediant_bpf_call *call, unsigned int region,
				 unsigned long long offset, unsigned int width,
				 unsigned long long *value)
{
	struct mediant_bpf_state *state = mediant_bpf_state_of(call);

	*value = 0;
	if (state->resetting)
		return -EIO;
	return state->below->load(state->below->device, region, offset, width, value);
}

__bpf_kfunc int mediant_bpf_store(struct mediant_bpf_call *call, unsigned int region,
				  unsigned long long offset, unsigned int width,
				  unsigned long long value)
{
	struct mediant_bpf_state *state = mediant_bpf_state_of(call);

	if (state->resetting)
		return -EIO;
	return state->below->store(state->below->device, region, offset, width, value);
}

__bpf_kfunc int mediant_bpf_ask(struct mediant_bpf_call *call, unsigned int what,
				unsigned int index, struct mediant_bpf_answer *answer)
{
	struct mediant_bpf_state *state = mediant_bpf_state_of(call);
	const struct mediant_below *below = state->below;
	unsigned int a = 0, b = 0, c = 0;
	unsigned long long size = 0;
	int ret;

	*answer = (struct mediant_bpf_answer) {};
	if (state->resetting)
		return -EIO;
	switch (what) {
	case MEDIANT_DEVICE_INFO:
		ret = below->device_info(below->device, &a, &b, &c);
		answer->values[0] = a;
		answer->values[1] = b;
		answer->values[2] = c;
		return ret;
	case MEDIANT_REGION_INFO:
		ret = below->region_info(below->device, index, &size, &a);
		answer->values[0] = size;
		answer->values[1] = a;
		return ret;
	case MEDIANT_IRQ_INFO:
		ret = below->irq_info(below->device, index, &a, &b);
		answer->values[0] = a;
		answer->values[1] = b;
		return ret;
	default:
		return -EINVAL;
	}
}

__bpf_kfunc int mediant_bpf_reset_device(struct mediant_bpf_call *call)
{
	struct mediant_bpf_state *state = mediant_bpf_state_of(call);

	if (state->resetting)
		return -EIO;
	return state->below->reset_device(state->below->device);
}

__bpf_kfunc void mediant_bpf_log(struct mediant_bpf_call *call, const char *text__str,
				 const struct mediant_bpf_numbers *numbers)
{
	const struct mediant_below *below = mediant_bpf_state_of(call)->below;

	below->log(below->device, mediant_bpf_line(text__str), numbers->count, numbers->values[0],
		   numbers->values[1], numbers->values[2]);
}

__bpf_kfunc void mediant_bpf_dirty(struct mediant_bpf_call *call, unsigned long long iova,
				   unsigned long long size)
{
	const struct mediant_below *below = mediant_bpf_state_of(call)->below;

	if (size && iova <= U64_MAX - (size - 1))
		below->dirty(below->device, iova, size);
}

__bpf_kfunc int mediant_bpf_trigger(struct mediant_bpf_call *call, unsigned int index,
				    unsigned int vector)
{
	struct mediant_bpf_state *state = mediant_bpf_state_of(call);

	if (state->resetting)
		return -EIO;
	return state->below->trigger(state->below->device, index, vector);
}

__bpf_kfunc_end_defs();

BTF_KFUNCS_START(mediant_bpf_call_ids)
BTF_ID_FLAGS(func, mediant_bpf_state, KF_TRUSTED_ARGS | KF_RET_NULL)
BTF_ID_FLAGS(func, mediant_bpf_load, KF_TRUSTED_ARGS | KF_SLEEPABLE)
BTF_ID_FLAGS(func, mediant_bpf_store, KF_TRUSTED_ARGS | KF_SLEEPABLE)
BTF_ID_FLAGS(func, mediant_bpf_ask, KF_TRUSTED_ARGS | KF_SLEEPABLE)
BTF_ID_FLAGS(func, mediant_bpf_reset_device, KF_TRUSTED_ARGS | KF_SLEEPABLE)
BTF_ID_FLAGS(func, mediant_bpf_log, KF_TRUSTED_ARGS | KF_SLEEPABLE)
BTF_ID_FLAGS(func, mediant_bpf_dirty, KF_TRUSTED_ARGS | KF_SLEEPABLE)
BTF_ID_FLAGS(func, mediant_bpf_trigger, KF_TRUSTED_ARGS | KF_SLEEPABLE)
BTF_KFUNCS_END(mediant_bpf_call_ids)

/*
 * They are for providers alone. It is asked of functions of this module only; their numbers are not
 * those of the list above where the kernel has moved the module's types.
 */
static int mediant_bpf_may_call(const struct bpf_prog *prog, u32 kfunc_id)
{
	return mediant_bpf_is_ours(prog) ? 0 : -EACCES;
}

static const struct btf_kfunc_id_set mediant_bpf_calls = {
	.owner = THIS_MODULE,
	.set = &mediant_bpf_call_ids,
	.filter = mediant_bpf_may_call,
};

int mediant_bpf_offer_calls(void)
{
	return register_btf_kfunc_id_set(BPF_PROG_TYPE_STRUCT_OPS, &mediant_bpf_calls);
}
