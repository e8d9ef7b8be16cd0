// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Which BPF providers there are. What was attached can be replaced by its equal while devices are
 * open, and withdrawn: then what it traps stays trapped and fails, until its equal is attached
 * again. What another registers, serves or traps is not its equal.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/mm.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "bpf_slots.h"
#include "registry/registry.h"

/* Guards the slots, and what of them says so. */
static DEFINE_MUTEX(mediant_bpf_lock);
static LIST_HEAD(mediant_bpf_slots); /* under mediant_bpf_lock */
static u64 mediant_bpf_rounds; /* under mediant_bpf_lock */
/* One drain at a time: a device that another one has begun to wait for has not answered yet. */
static DEFINE_MUTEX(mediant_bpf_drains);

static struct mediant_bpf_slot *mediant_bpf_slot_of(const struct mediant_provider *provider)
{
	return container_of((struct mediant_provider *)provider, struct mediant_bpf_slot, provider);
}

/* A program's callers ask for the ranges without a lock, also when the program is gone. */
static void mediant_bpf_take_ranges(struct mediant_bpf_slot *slot,
				    const struct mediant_bpf_ops *ops)
{
	unsigned int region = 0, count = 0, i;

	for (i = 0; i < ops->range_count; i++) {
		const struct mediant_bpf_range *range = &ops->ranges[i];
		struct mediant_bpf_trap trap = { range->offset, range->offset + range->size };

		while (region < range->region)
			slot->first[++region] = count;
		if (count > slot->first[region] && slot->traps[count - 1].end == trap.offset)
			slot->traps[count - 1].end = trap.end;
		else
			slot->traps[count++] = trap;
	}
	while (region < MEDIANT_REGIONS)
		slot->first[++region] = count;
}

static struct mediant_bpf_slot *mediant_bpf_make_slot(const struct mediant_bpf_ops *ops)
{
	struct mediant_bpf_slot *slot = kvzalloc(sizeof(*slot), GFP_KERNEL_ACCOUNT);

	if (!slot)
		return NULL;
	refcount_set(&slot->users, 1);
	INIT_LIST_HEAD(&slot->list);
	INIT_LIST_HEAD(&slot->states);
	strscpy(slot->name, ops->name, sizeof(slot->name));
	slot->identity = ops->identity;
	slot->state_size = ops->state_size;
	memcpy(slot->rules, ops->rules, array_size(ops->rule_count, sizeof(*ops->rules)));
	mediant_bpf_take_ranges(slot, ops);
	slot->provider = (struct mediant_provider) {
		.size = sizeof(slot->provider),
		.version = MEDIANT_ABI_VERSION,
		.name = slot->name,
		.state_size = sizeof(struct mediant_bpf_state) + ops->state_size,
		.state_align = __alignof__(struct mediant_bpf_state),
		.rules = slot->rules,
		.rule_count = ops->rule_count,
		.mediates = ops->mediates,
	};
	mediant_bpf_fill(&slot->provider);
	return slot;
}

static bool mediant_bpf_same(const struct mediant_bpf_slot *known,
			     const struct mediant_bpf_slot *fresh)
{
	const char *name = known->name;
	const char *what = NULL;

	if (strcmp(name, fresh->name))
		what = "name";
	else if (known->provider.mediates != fresh->provider.mediates)
		what = "set of mediated requests";
	else if (known->provider.rule_count != fresh->provider.rule_count ||
		 memcmp(known->rules, fresh->rules, sizeof(known->rules)))
		what = "table of rules";
	else if (memcmp(known->first, fresh->first, sizeof(known->first)) ||
		 memcmp(known->traps, fresh->traps, sizeof(known->traps)))
		what = "table of trapped ranges";
	if (known->state_size != fresh->state_size) {
		pr_err("BPF provider %s has %u bytes of state, and what would take its place has %u\n",
		       name, known->state_size, fresh->state_size);
		return false;
	}
	if (!what && known->identity != fresh->identity) {
		pr_err("BPF provider %s has identity %#llx, and what would take its place has %#llx\n",
		       name, known->identity, fresh->identity);
		return false;
	}
	if (what)
		pr_err("BPF provider %s: what would take its place has another %s\n", name, what);
	return !what;
}

static struct mediant_bpf_slot *mediant_bpf_find(const char *name)
{
	struct mediant_bpf_slot *slot;

	list_for_each_entry(slot, &mediant_bpf_slots, list)
		if (!strcmp(slot->name, name))
			return slot;
	return NULL;
}

static void mediant_bpf_set(struct mediant_bpf_slot *slot, const struct mediant_bpf_ops *ops)
{
	lockdep_assert_held(&mediant_bpf_lock);
	/* Whoever finds the programs, in mediant_bpf_programs(), finds what they are. */
	smp_store_release(&slot->ops, ops);
}

/* Before a device's first call of a program: it calls none that is taken away unseen. */
void mediant_bpf_join(struct mediant_bpf_state *state)
{
	mutex_lock(&mediant_bpf_lock);
	state->round = mediant_bpf_rounds;
	list_add_tail(&state->list, &state->slot->states);
	mutex_unlock(&mediant_bpf_lock);
}

/* Behind the last. */
void mediant_bpf_leave(struct mediant_bpf_state *state)
{
	mutex_lock(&mediant_bpf_lock);
	list_del(&state->list);
	mutex_unlock(&mediant_bpf_lock);
}

static struct mediant_bpf_state *mediant_bpf_behind(const struct mediant_bpf_slot *slot, u64 round)
{
	struct mediant_bpf_state *state;

	list_for_each_entry(state, &slot->states, list)
		if (state->round < round)
			return state;
	return NULL;
}

/* When this returns no program runs that is not found any more. The caller holds the slot. */
static void mediant_bpf_drain(struct mediant_bpf_slot *slot)
{
	struct mediant_bpf_state *state;
	u64 round;

	mutex_lock(&mediant_bpf_drains);
	mutex_lock(&mediant_bpf_lock);
	round = ++mediant_bpf_rounds;
	while ((state = mediant_bpf_behind(slot, round))) {
		struct mediant_device *mdev = state->mdev;

		state->round = round;
		/* It may be closed, and be unbound, meanwhile. */
		get_device(&mdev->core.vdev.device);
		mutex_unlock(&mediant_bpf_lock);
		mediant_lock(mdev);
		mediant_unlock(mdev);
		put_device(&mdev->core.vdev.device);
		mutex_lock(&mediant_bpf_lock);
	}
	mutex_unlock(&mediant_bpf_lock);
	mutex_unlock(&mediant_bpf_drains);
}

static void mediant_bpf_drop(struct mediant_bpf_slot *slot)
{
	if (!refcount_dec_and_mutex_lock(&slot->users, &mediant_bpf_lock))
		return;
	list_del(&slot->list);
	mutex_unlock(&mediant_bpf_lock);
	kvfree(slot);
}

/* The registry's lock is held, and what is registered is attached. */
static void mediant_bpf_hold(const struct mediant_provider *provider)
{
	struct mediant_bpf_slot *slot = mediant_bpf_slot_of(provider);

	refcount_inc(&slot->users);
	atomic_inc(&slot->devices);
}

void mediant_bpf_put(const struct mediant_provider *provider)
{
	struct mediant_bpf_slot *slot = mediant_bpf_slot_of(provider);

	atomic_dec(&slot->devices);
	mediant_bpf_drop(slot);
}

/*
 * The slot for what is to be attached, with a user more: that of devices which wait for it, or
 * `fresh`. NULL and *ret where it cannot be.
 */
static struct mediant_bpf_slot *mediant_bpf_choose_slot(struct mediant_bpf_slot *fresh, int *ret)
{
	struct mediant_bpf_slot *slot = mediant_bpf_find(fresh->name);

	if (slot && slot->ops) {
		pr_err("a BPF provider of the name %s is attached\n", fresh->name);
		*ret = -EEXIST;
		return NULL;
	}
	if (slot && atomic_read(&slot->devices)) {
		if (!mediant_bpf_same(slot, fresh)) {
			pr_err("BPF provider %s was withdrawn, and has devices open\n",
			       slot->name);
			*ret = -EBUSY;
			return NULL;
		}
		refcount_inc(&slot->users);
		return slot;
	}
	/* Nobody finds it any more, and who withdrew it is about to let go of it. */
	if (slot)
		list_del_init(&slot->list);
	list_add_tail(&fresh->list, &mediant_bpf_slots);
	return fresh;
}

/* -EEXIST: one of the name is attached; -EBUSY: another's devices are open, or the registry's. */
int mediant_bpf_attach(const struct mediant_bpf_ops *ops)
{
	struct mediant_bpf_slot *fresh = mediant_bpf_make_slot(ops);
	struct mediant_bpf_slot *slot;
	int ret = 0;

	if (!fresh)
		return -ENOMEM;
	mutex_lock(&mediant_bpf_lock);
	slot = mediant_bpf_choose_slot(fresh, &ret);
	if (slot) {
		/* Before it can be found, so that who finds it can open it. */
		mediant_bpf_set(slot, ops);
		ret = vfio_pci_mediate_register_held(&slot->provider, THIS_MODULE,
						     mediant_bpf_hold);
		if (ret)
			mediant_bpf_set(slot, NULL);
	}
	mutex_unlock(&mediant_bpf_lock);
	if (slot && ret) {
		mediant_bpf_drain(slot);
		mediant_bpf_drop(slot);
	}
	if (slot != fresh)
		kvfree(fresh);
	if (!ret)
		pr_info("BPF provider %s is attached\n", ops->name);
	return ret;
}

/* The state of open devices stays as it is; -EINVAL: what comes is not the equal of what is. */
int mediant_bpf_replace(const struct mediant_bpf_ops *ops, const struct mediant_bpf_ops *old)
{
	struct mediant_bpf_slot *fresh = mediant_bpf_make_slot(ops);
	struct mediant_bpf_slot *slot;
	int ret = -EINVAL;

	if (!fresh)
		return -ENOMEM;
	mutex_lock(&mediant_bpf_lock);
	slot = mediant_bpf_find(old->name);
	if (slot && slot->ops == old && mediant_bpf_same(slot, fresh)) {
		mediant_bpf_set(slot, ops);
		refcount_inc(&slot->users);
		ret = 0;
	}
	mutex_unlock(&mediant_bpf_lock);
	kvfree(fresh);
	if (ret)
		return ret;
	mediant_bpf_drain(slot);
	mediant_bpf_drop(slot);
	pr_info("BPF provider %s was replaced\n", ops->name);
	return 0;
}

/* When this returns none of the programs runs. */
void mediant_bpf_withdraw(const struct mediant_bpf_ops *ops)
{
	struct mediant_bpf_slot *slot;
	int devices;

	mutex_lock(&mediant_bpf_lock);
	slot = mediant_bpf_find(ops->name);
	if (WARN_ON_ONCE(!slot || slot->ops != ops)) {
		mutex_unlock(&mediant_bpf_lock);
		return;
	}
	vfio_pci_mediate_unregister_held(&slot->provider);
	mediant_bpf_set(slot, NULL);
	devices = atomic_read(&slot->devices);
	mutex_unlock(&mediant_bpf_lock);
	mediant_bpf_drain(slot);
	if (devices)
		pr_info("BPF provider %s was withdrawn; what it traps of %d open devices fails until it is attached again\n",
			ops->name, devices);
	else
		pr_info("BPF provider %s was withdrawn\n", ops->name);
	mediant_bpf_drop(slot);
}

/* Room for a provider without its devices, and for one of these; with that for what is left out. */
#define MEDIANT_BPF_LINE 160
#define MEDIANT_BPF_WORD 64

/* What has no room is told of by three dots, so that nobody takes a part for the whole. */
int mediant_bpf_show(char *page)
{
	struct mediant_bpf_slot *slot;
	int size = 0;

	mutex_lock(&mediant_bpf_lock);
	list_for_each_entry(slot, &mediant_bpf_slots, list) {
		const char *separator = "";
		struct mediant_bpf_state *state;

		if (size > PAGE_SIZE - MEDIANT_BPF_LINE) {
			size += sysfs_emit_at(page, size, "...\n");
			break;
		}
		size += sysfs_emit_at(page, size, "%s identity=%#llx state=%u attached=%d devices=",
				      slot->name, slot->identity, slot->state_size,
				      slot->ops ? 1 : 0);
		list_for_each_entry(state, &slot->states, list) {
			bool room = size < PAGE_SIZE - MEDIANT_BPF_WORD;

			size += sysfs_emit_at(page, size, "%s%s", separator,
					      room ? pci_name(state->mdev->core.pdev) : "...");
			if (!room)
				break;
			separator = ",";
		}
		size += sysfs_emit_at(page, size, "\n");
	}
	mutex_unlock(&mediant_bpf_lock);
	return size;
}
