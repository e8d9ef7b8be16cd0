// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The list of providers. This file does not see what a provider consists of, so that the versions
 * that the kernel computes for its exported symbols do not depend on it: a provider of another ABI
 * is refused by number and with a message, and not as a symbol of a wrong checksum.
 */
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>

#include "registry.h"

struct mediant_entry {
	struct list_head list;
	const struct mediant_provider *provider;
	struct module *owner;
	void (*hold)(const struct mediant_provider *provider); /* NULL: holding the owner does */
	u64 number; /* grows with each registration */
};

static LIST_HEAD(mediant_entries); /* by number */
static DEFINE_MUTEX(mediant_entries_lock);
static u64 mediant_numbers;
static u64 mediant_left; /* when a provider was taken back last, in jiffies */

/* mediant_entries_lock must be held. */
static bool mediant_registered(const struct mediant_provider *fresh)
{
	struct mediant_entry *entry;

	list_for_each_entry(entry, &mediant_entries, list)
		if (mediant_judge_duplicates(fresh, entry->provider))
			return true;
	return false;
}

static int mediant_register(const struct mediant_provider *const *providers, unsigned int count,
			    struct module *owner,
			    void (*hold)(const struct mediant_provider *provider))
{
	struct mediant_entry *entry, *next;
	LIST_HEAD(fresh);
	unsigned int i;
	int ret;

	ret = mediant_judge(providers, count);
	if (ret)
		return ret;

	mutex_lock(&mediant_entries_lock);
	for (i = 0; i < count; i++) {
		ret = -EBUSY;
		if (mediant_registered(providers[i]))
			goto out_free;
		ret = -ENOMEM;
		entry = kzalloc(sizeof(*entry), GFP_KERNEL);
		if (!entry)
			goto out_free;
		entry->provider = providers[i];
		entry->owner = owner;
		entry->hold = hold;
		entry->number = ++mediant_numbers;
		list_add_tail(&entry->list, &fresh);
	}
	list_splice_tail(&fresh, &mediant_entries);
	mutex_unlock(&mediant_entries_lock);
	return 0;

out_free:
	mutex_unlock(&mediant_entries_lock);
	list_for_each_entry_safe(entry, next, &fresh, list)
		kfree(entry);
	return ret;
}

int vfio_pci_mediate_register(const struct mediant_provider *const *providers, unsigned int count,
			      struct module *owner)
{
	return mediant_register(providers, count, owner, NULL);
}
EXPORT_SYMBOL_GPL(vfio_pci_mediate_register);

void vfio_pci_mediate_unregister(struct module *owner)
{
	struct mediant_entry *entry, *next;

	mutex_lock(&mediant_entries_lock);
	list_for_each_entry_safe(entry, next, &mediant_entries, list) {
		if (entry->owner != owner || entry->hold)
			continue;
		list_del(&entry->list);
		kfree(entry);
	}
	mediant_left = get_jiffies_64();
	mutex_unlock(&mediant_entries_lock);
}
EXPORT_SYMBOL_GPL(vfio_pci_mediate_unregister);

int vfio_pci_mediate_register_held(const struct mediant_provider *provider, struct module *owner,
				   void (*hold)(const struct mediant_provider *provider))
{
	return mediant_register(&provider, 1, owner, hold);
}
EXPORT_SYMBOL_GPL(vfio_pci_mediate_register_held);

void vfio_pci_mediate_unregister_held(const struct mediant_provider *provider)
{
	struct mediant_entry *entry;

	mutex_lock(&mediant_entries_lock);
	list_for_each_entry(entry, &mediant_entries, list) {
		if (entry->provider != provider)
			continue;
		list_del(&entry->list);
		kfree(entry);
		break;
	}
	mutex_unlock(&mediant_entries_lock);
}
EXPORT_SYMBOL_GPL(vfio_pci_mediate_unregister_held);

static bool mediant_behind(const struct vfio_pci_mediate_place *place, unsigned int rank,
			   u64 number)
{
	return rank < place->rank || (rank == place->rank && number > place->number);
}

const struct mediant_provider *vfio_pci_mediate_next(const struct mediant_device_id *id,
						     struct vfio_pci_mediate_place *place,
						     struct module **owner, bool *leaving)
{
	const struct mediant_provider *provider = NULL;
	struct mediant_entry *entry;

	mutex_lock(&mediant_entries_lock);
	for (;;) {
		struct vfio_pci_mediate_place best = {};
		struct mediant_entry *found = NULL;

		list_for_each_entry(entry, &mediant_entries, list) {
			unsigned int rank = mediant_judge_match(entry->provider, id);

			if (!mediant_behind(place, rank, entry->number) || rank <= best.rank)
				continue;
			best.rank = rank;
			best.number = entry->number;
			found = entry;
		}
		if (!found)
			break;
		*place = best;
		if (try_module_get(found->owner)) {
			if (found->hold)
				found->hold(found->provider);
			*owner = found->owner;
			provider = found->provider;
			break;
		}
		*leaving = true;
	}
	mutex_unlock(&mediant_entries_lock);
	return provider;
}
EXPORT_SYMBOL_GPL(vfio_pci_mediate_next);

bool vfio_pci_mediate_left_lately(void)
{
	bool lately;

	mutex_lock(&mediant_entries_lock);
	lately = mediant_left && time_is_after_jiffies64(mediant_left + HZ);
	mutex_unlock(&mediant_entries_lock);
	return lately;
}
EXPORT_SYMBOL_GPL(vfio_pci_mediate_left_lately);

MODULE_LICENSE("Dual BSD/GPL");
MODULE_AUTHOR("the mediant authors");
MODULE_DESCRIPTION("Registry of providers that mediate PCI devices under VFIO");
