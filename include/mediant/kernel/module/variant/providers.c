// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * A variant's providers: those of its own policy object. It binds to what they list.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/limits.h>
#include <linux/module.h>

#include "abi_check.h"
#include "device.h"

/* One rule: VFIO's override entries, which no device is bound to without a driver_override. */
#define MEDIANT_ID(vend, dev, subvend, subdev, code, mask)				\
	{										\
		.vendor = (vend), .device = (dev),					\
		.subvendor = (subvend), .subdevice = (subdev),				\
		.class = (code), .class_mask = (mask),					\
		.override_only = PCI_ID_F_VFIO_DRIVER_OVERRIDE,				\
	}

#include "module.h"

const struct pci_device_id mediant_ids[] = {
	MEDIANT_MODULE_IDS
	{}
};
MODULE_DEVICE_TABLE(pci, mediant_ids);

const struct attribute_group *mediant_groups[] = {
	NULL
};

int mediant_init_providers(void)
{
	return mediant_check_abi(mediant_providers, mediant_provider_count);
}

void mediant_search_begin(struct mediant_search *search, struct pci_dev *pdev)
{
	*search = (struct mediant_search) {
		.pdev = pdev,
		.id = mediant_id_of(pdev),
		.rank = UINT_MAX,
		.number = UINT_MAX,
	};
}

/* By rank, then as in the policy's table. */
bool mediant_search_next(struct mediant_search *search)
{
	unsigned int rank_before = search->rank;
	u64 before = search->number;
	unsigned int i;

	search->provider = NULL;
	search->rank = 0;
	for (i = 0; i < mediant_provider_count; i++) {
		unsigned int rank = mediant_providers[i]->match(&search->id);

		if (rank > rank_before || (rank == rank_before && i <= before))
			continue;
		if (rank > search->rank) {
			search->provider = mediant_providers[i];
			search->rank = rank;
			search->number = i;
		}
	}
	search->found += search->provider ? 1 : 0;
	return search->provider;
}

void mediant_put_provider(const struct mediant_provider *provider, struct module *owner)
{
}

int mediant_search_failed(struct mediant_search *search)
{
	pci_info_ratelimited(search->pdev, "every provider declined the device\n");
	return -ENODEV;
}

bool mediant_serves(struct pci_dev *pdev)
{
	struct mediant_search search;

	mediant_search_begin(&search, pdev);
	if (mediant_search_next(&search))
		return true;
	pci_err(pdev, "no provider for %04x:%04x (subsystem %04x:%04x, class %06x)\n",
		search.id.vendor, search.id.device, search.id.subvendor, search.id.subdevice,
		search.id.class_code);
	return false;
}
