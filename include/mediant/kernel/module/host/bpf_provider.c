// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * A BPF provider as the rest of the host sees it. The verifier has shown that a program harms no
 * memory but its own; what it answers is looked at here.
 */
#include <linux/errno.h>
#include <linux/limits.h>
#include <linux/math.h>
#include <linux/minmax.h>
#include <linux/string.h>
#include <asm/byteorder.h>

#include "bpf_slots.h"

static noinline int mediant_bpf_odd_answer(struct mediant_bpf_state *state, const char *program,
					   int answer, int least, int most)
{
	dev_err_ratelimited(&state->mdev->core.pdev->dev,
			    "BPF provider %s: its program %s answered %d, which is no error and not %d to %d\n",
			    state->slot->name, program, answer, least, most);
	return -EIO;
}

/*
 * What a program may answer: `least` to `most`, or an error of those that users know. Errors from
 * ERESTARTSYS on are the kernel's own, and would have it do an access again.
 */
static __always_inline int mediant_bpf_answer(struct mediant_bpf_state *state, const char *program,
					      int answer, int least, int most)
{
	if (likely(answer >= least && answer <= most))
		return answer;
	if (answer < 0 && answer > -ERESTARTSYS)
		return answer;
	return mediant_bpf_odd_answer(state, program, answer, least, most);
}

static noinline bool mediant_bpf_catch_up(struct mediant_bpf_state *state,
					  const struct mediant_bpf_ops *ops)
{
	state->resetting = true;
	state->stale = mediant_bpf_answer(state, "reset", ops->reset(&state->call), 0, 0);
	state->resetting = false;
	return !state->stale;
}

/*
 * The programs that are attached now, up to date on resets; NULL where there are none, or they fail
 * to take notice. They are there as long as the policy lock is held.
 */
static __always_inline const struct mediant_bpf_ops *
mediant_bpf_programs(struct mediant_bpf_state *state)
{
	const struct mediant_bpf_ops *ops;

	lockdep_assert_held(&state->mdev->lock);
	ops = READ_ONCE(state->slot->ops);
	if (likely(!state->stale) || !ops)
		return ops;
	return mediant_bpf_catch_up(state, ops) ? ops : NULL;
}

static void mediant_bpf_construct(void *data, const struct mediant_below *below)
{
	struct mediant_device *mdev = below->device;
	struct mediant_bpf_state *state = data;

	state->mdev = mdev;
	state->below = below;
	state->slot = container_of((struct mediant_provider *)mdev->provider,
				   struct mediant_bpf_slot, provider);
}

/* A provider that was withdrawn while it was found declines, as if it had not been found. */
static int mediant_bpf_open(void *data)
{
	struct mediant_bpf_state *state = data;
	const struct mediant_bpf_ops *ops;
	int ret = -ENODEV;

	mediant_bpf_join(state);
	ops = mediant_bpf_programs(state);
	if (ops)
		ret = mediant_bpf_answer(state, "open", ops->open(&state->call), 0, 0);
	if (ret)
		mediant_bpf_leave(state);
	return ret;
}

static void mediant_bpf_release(void *data)
{
	struct mediant_bpf_state *state = data;
	const struct mediant_bpf_ops *ops;

	ops = mediant_bpf_programs(state);
	if (ops)
		mediant_bpf_answer(state, "release", ops->release(&state->call), 0, 0);
	mediant_bpf_leave(state);
}

static void mediant_bpf_reset(void *data)
{
	struct mediant_bpf_state *state = data;

	state->stale = true;
	mediant_bpf_programs(state);
}

/* A part ends where a register may begin, and so where an access of the device's own may. */
static unsigned int mediant_bpf_part(u64 offset, unsigned int count)
{
	return min(count, MEDIANT_BPF_BYTES - (unsigned int)(offset % MEDIANT_BPF_BYTES));
}

/* Most registers have 4 bytes: a copy of as many is one move, of any other number a call. */
static __always_inline void mediant_bpf_copy(void *to, const void *from, unsigned int size)
{
	if (likely(size == 4))
		memcpy(to, from, 4);
	else
		memcpy(to, from, size);
}

/*
 * Bytes done of the first part of an access, or -errno. The value is left where the program had it:
 * what needs no memory of this function's own needs no canary on its stack either.
 */
static __always_inline int mediant_bpf_read_part(struct mediant_bpf_state *state,
						 const struct mediant_bpf_ops *ops,
						 unsigned int region, u64 offset, u8 *bytes,
						 unsigned int count)
{
	unsigned int size = mediant_bpf_part(offset, count);
	struct mediant_bpf_call *call = &state->call;
	int ret;

	call->value = 0;
	ret = ops->read(call, region, offset, size);
	ret = mediant_bpf_answer(state, "read", ret, 1, size);
	if (ret > 0) {
		cpu_to_le64s(&call->value);
		mediant_bpf_copy(bytes, &call->value, ret);
	}
	return ret;
}

static __always_inline int mediant_bpf_write_part(struct mediant_bpf_state *state,
						  const struct mediant_bpf_ops *ops,
						  unsigned int region, u64 offset, const u8 *bytes,
						  unsigned int count)
{
	unsigned int size = mediant_bpf_part(offset, count);
	struct mediant_bpf_call *call = &state->call;
	int ret;

	call->value = 0;
	mediant_bpf_copy(&call->value, bytes, size);
	le64_to_cpus(&call->value);
	ret = ops->write(call, region, offset, size, call->value);
	return mediant_bpf_answer(state, "write", ret, 1, size);
}

/* What is left of an access, of which `done` bytes are done: all that are done then. */
static noinline int mediant_bpf_read_rest(struct mediant_bpf_state *state,
					  const struct mediant_bpf_ops *ops, unsigned int region,
					  u64 offset, u8 *bytes, unsigned int count,
					  unsigned int done)
{
	int ret = 0;

	for (; done < count && ret >= 0; done += max(ret, 0))
		ret = mediant_bpf_read_part(state, ops, region, offset + done, bytes + done,
					    count - done);
	return done;
}

static noinline int mediant_bpf_write_rest(struct mediant_bpf_state *state,
					   const struct mediant_bpf_ops *ops, unsigned int region,
					   u64 offset, const u8 *bytes, unsigned int count,
					   unsigned int done)
{
	int ret = 0;

	for (; done < count && ret >= 0; done += max(ret, 0))
		ret = mediant_bpf_write_part(state, ops, region, offset + done, bytes + done,
					     count - done);
	return done;
}

static long long mediant_bpf_read(void *data, unsigned int region, unsigned long long offset,
				  unsigned char *bytes, unsigned int count)
{
	struct mediant_bpf_state *state = data;
	const struct mediant_bpf_ops *ops;
	int ret = -EIO;

	ops = mediant_bpf_programs(state);
	if (ops) {
		ret = mediant_bpf_read_part(state, ops, region, offset, bytes, count);
		if (unlikely(ret > 0 && ret < count))
			ret = mediant_bpf_read_rest(state, ops, region, offset, bytes, count, ret);
	}
	return ret;
}

static long long mediant_bpf_write(void *data, unsigned int region, unsigned long long offset,
				   const unsigned char *bytes, unsigned int count)
{
	struct mediant_bpf_state *state = data;
	const struct mediant_bpf_ops *ops;
	int ret = -EIO;

	ops = mediant_bpf_programs(state);
	if (ops) {
		ret = mediant_bpf_write_part(state, ops, region, offset, bytes, count);
		if (unlikely(ret > 0 && ret < count))
			ret = mediant_bpf_write_rest(state, ops, region, offset, bytes, count, ret);
	}
	return ret;
}

/* Asked of each access, and also without the policy lock: it looks at what is constant alone. */
static unsigned long long mediant_bpf_run(const void *data, unsigned int region,
					  unsigned long long offset, unsigned long long count,
					  unsigned int *trapped)
{
	const struct mediant_bpf_state *state = data;
	const struct mediant_bpf_trap *traps = state->slot->traps;
	const unsigned int *first = state->slot->first;
	const struct mediant_bpf_trap *at, *high, *end;

	*trapped = 0;
	if (region >= MEDIANT_REGIONS)
		return count;
	/* The one that ends first behind `offset`: among many by halves, among few in turn. */
	at = traps + first[region];
	end = traps + first[region + 1];
	high = end;
	while (high - at > 8) {
		const struct mediant_bpf_trap *middle = at + (high - at) / 2;

		if (middle->end <= offset)
			at = middle + 1;
		else
			high = middle;
	}
	while (at < high && at->end <= offset)
		at++;
	if (at == end)
		return count;
	if (at->offset > offset)
		return min(count, at->offset - offset);
	*trapped = 1;
	return min(count, at->end - offset);
}

/* A region that ends within a page has no area there. */
static void mediant_bpf_next_area(const void *data, unsigned int region,
				  unsigned long long region_size, unsigned long long page_size,
				  unsigned long long from, unsigned long long *offset,
				  unsigned long long *size)
{
	u64 end = round_down(region_size, page_size);
	u64 at = round_up(from, page_size);

	*offset = 0;
	*size = 0;
	while (at < end && at >= from) {
		unsigned int trapped = 1;
		u64 run = mediant_bpf_run(data, region, at, end - at, &trapped);
		u64 whole = round_down(at + run, page_size);

		if (!trapped && whole > at) {
			*offset = at;
			*size = whole - at;
			return;
		}
		at = round_up(at + run, page_size);
	}
}

static int mediant_bpf_ended(struct mediant_bpf_state *state, const char *program, int answer,
			     unsigned int numbers)
{
	const struct mediant_bpf_call *call = &state->call;
	unsigned int i;
	int ret;

	ret = mediant_bpf_answer(state, program, answer, 0, 0);
	for (i = 0; !ret && i < MEDIANT_BPF_ANSWERS; i++) {
		if (!(numbers & BIT(i)) || call->answers[i] <= U32_MAX)
			continue;
		dev_err_ratelimited(&state->mdev->core.pdev->dev,
				    "BPF provider %s: its program %s gave %#llx as number %u of its answer\n",
				    state->slot->name, program, call->answers[i], i);
		ret = -EIO;
	}
	return ret;
}

static int mediant_bpf_device_info(void *data, unsigned int *regions, unsigned int *irqs,
				   unsigned int *can_reset)
{
	struct mediant_bpf_state *state = data;
	struct mediant_bpf_call *call = &state->call;
	const struct mediant_bpf_ops *ops;
	int ret = -EIO;

	memset(call->answers, 0, sizeof(call->answers));
	ops = mediant_bpf_programs(state);
	if (ops)
		ret = mediant_bpf_ended(state, "device_info", ops->device_info(call), 7);
	if (ret)
		return ret;
	*regions = call->answers[0];
	*irqs = call->answers[1];
	*can_reset = call->answers[2];
	return 0;
}

static int mediant_bpf_region_info(void *data, unsigned int region, unsigned long long *size,
				   unsigned int *flags)
{
	struct mediant_bpf_state *state = data;
	struct mediant_bpf_call *call = &state->call;
	const struct mediant_bpf_ops *ops;
	int ret = -EIO;

	memset(call->answers, 0, sizeof(call->answers));
	ops = mediant_bpf_programs(state);
	if (ops)
		ret = mediant_bpf_ended(state, "region_info", ops->region_info(call, region), 2);
	if (ret)
		return ret;
	/* Behind what a position can say, offsets that are rounded up would wrap around. */
	if (call->answers[0] > S64_MAX) {
		dev_err_ratelimited(&state->mdev->core.pdev->dev,
				    "BPF provider %s: its program region_info gave region %u %#llx bytes\n",
				    state->slot->name, region, call->answers[0]);
		return -EIO;
	}
	*size = call->answers[0];
	*flags = call->answers[1];
	return 0;
}

static int mediant_bpf_irq_info(void *data, unsigned int which, unsigned int *flags,
				unsigned int *count)
{
	struct mediant_bpf_state *state = data;
	struct mediant_bpf_call *call = &state->call;
	const struct mediant_bpf_ops *ops;
	int ret = -EIO;

	memset(call->answers, 0, sizeof(call->answers));
	ops = mediant_bpf_programs(state);
	if (ops)
		ret = mediant_bpf_ended(state, "irq_info", ops->irq_info(call, which), 3);
	if (ret)
		return ret;
	*flags = call->answers[0];
	*count = call->answers[1];
	return 0;
}

static int mediant_bpf_asked_to_reset(void *data)
{
	struct mediant_bpf_state *state = data;
	const struct mediant_bpf_ops *ops;
	int ret = -EIO;

	ops = mediant_bpf_programs(state);
	if (ops)
		ret = mediant_bpf_answer(state, "reset_device", ops->reset_device(&state->call), 0,
					 0);
	return ret;
}

/* Without match the registry goes by the rules; what is not mediated is not called. */
void mediant_bpf_fill(struct mediant_provider *provider)
{
	provider->construct = mediant_bpf_construct;
	provider->open = mediant_bpf_open;
	provider->release = mediant_bpf_release;
	provider->reset = mediant_bpf_reset;
	provider->read = mediant_bpf_read;
	provider->write = mediant_bpf_write;
	provider->run = mediant_bpf_run;
	provider->next_area = mediant_bpf_next_area;
	provider->device_info = mediant_bpf_device_info;
	provider->region_info = mediant_bpf_region_info;
	provider->irq_info = mediant_bpf_irq_info;
	provider->reset_device = mediant_bpf_asked_to_reset;
}
