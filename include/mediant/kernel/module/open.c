// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Open and close. A device's providers are asked in order of rank until one does not decline; its
 * state lives from open to close, and nothing of it survives.
 */
#include <linux/limits.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/pm_runtime.h>
#include <linux/slab.h>

#include "variant.h"

static struct mediant_device_id mediant_id_of(struct pci_dev *pdev)
{
	return (struct mediant_device_id) {
		.vendor = pdev->vendor,
		.device = pdev->device,
		.subvendor = pdev->subsystem_vendor,
		.subdevice = pdev->subsystem_device,
		.class_code = pdev->class,
	};
}

/* A place in the order of a device's providers: by rank, then as in the policy's table. */
struct mediant_candidate {
	unsigned int rank; /* 0: there is none */
	unsigned int index;
};

#define MEDIANT_BEFORE_FIRST ((struct mediant_candidate) { .rank = UINT_MAX, .index = UINT_MAX })

static struct mediant_candidate mediant_next(const struct mediant_device_id *id,
					     struct mediant_candidate after)
{
	struct mediant_candidate best = {};
	unsigned int i;

	for (i = 0; i < mediant_provider_count; i++) {
		unsigned int rank = mediant_providers[i]->match(id);

		if (rank > after.rank || (rank == after.rank && i <= after.index))
			continue;
		if (rank > best.rank)
			best = (struct mediant_candidate) { .rank = rank, .index = i };
	}
	return best;
}

static bool mediant_same_abi(struct pci_dev *pdev)
{
	unsigned int i;

	for (i = 0; i < mediant_provider_count; i++) {
		const struct mediant_provider *provider = mediant_providers[i];

		if (provider->version == MEDIANT_ABI_VERSION && provider->size == sizeof(*provider))
			continue;
		pci_err(pdev, "policy object has ABI version %u (%u bytes), module has %u (%zu)\n",
			provider->version, provider->size, MEDIANT_ABI_VERSION, sizeof(*provider));
		return false;
	}
	return true;
}

/* Whether probe may take the device: a driver_override binds what no provider lists. */
bool mediant_serves(struct pci_dev *pdev)
{
	struct mediant_device_id id = mediant_id_of(pdev);

	if (!mediant_same_abi(pdev))
		return false;
	if (mediant_next(&id, MEDIANT_BEFORE_FIRST).rank)
		return true;
	pci_err(pdev, "no provider for %04x:%04x (subsystem %04x:%04x, class %06x)\n", id.vendor,
		id.device, id.subvendor, id.subdevice, id.class_code);
	return false;
}

static void mediant_drop(struct mediant_device *mdev)
{
	mediant_unmap_bars(mdev);
	mdev->provider = NULL;
	mediant_find_traps(mdev);
}

/* Opens one provider; -ENODEV declines the device. */
static int mediant_open_provider(struct mediant_device *mdev,
				 const struct mediant_provider *provider)
{
	void *state;
	int ret;

	state = kvzalloc(max(provider->state_size, 1u), GFP_KERNEL_ACCOUNT);
	if (!state)
		return -ENOMEM;

	mdev->provider = provider;
	mediant_find_traps(mdev);
	ret = mediant_map_bars(mdev);
	if (ret)
		goto out_free;

	mediant_lock(mdev);
	provider->construct(state, &mdev->below);
	ret = provider->open(state);
	if (!ret)
		mdev->state = state;
	mediant_unlock(mdev);
	if (!ret)
		return 0;

out_free:
	mediant_drop(mdev);
	kvfree(state);
	return ret;
}

static int mediant_open_policy(struct mediant_device *mdev)
{
	struct pci_dev *pdev = mdev->core.pdev;
	struct mediant_device_id id = mediant_id_of(pdev);
	struct mediant_candidate candidate = MEDIANT_BEFORE_FIRST;

	mdev->map_trapped = READ_ONCE(mediant_mmap_trapped_bars);
	if (READ_ONCE(mediant_pass_through))
		return 0;

	while ((candidate = mediant_next(&id, candidate)).rank) {
		const struct mediant_provider *provider = mediant_providers[candidate.index];
		int ret = mediant_open_provider(mdev, provider);

		if (!ret)
			pci_dbg(pdev, "opened by provider %s\n", provider->name);
		else if (ret != -ENODEV)
			pci_err(pdev, "provider %s failed to open (%d)\n", provider->name, ret);
		if (ret != -ENODEV)
			return ret;
	}
	pci_info(pdev, "every provider declined the device\n");
	return -ENODEV;
}

static void mediant_close_policy(struct mediant_device *mdev)
{
	struct device *dev = &mdev->core.pdev->dev;
	void *state;
	bool awake;

	if (!mdev->provider)
		return;

	/* Release may touch the device, which its user may have left asleep. */
	awake = !pm_runtime_resume_and_get(dev);
	mediant_lock(mdev);
	state = mdev->state;
	mdev->provider->release(state);
	mdev->state = NULL;
	mediant_unlock(mdev);
	if (awake)
		pm_runtime_put(dev);

	mediant_drop(mdev);
	kvfree(state);
}

int mediant_open_device(struct vfio_device *core_vdev)
{
	struct mediant_device *mdev = mediant_of_vdev(core_vdev);
	int ret;

	/* Resets the device; there is no state yet that would have to know. */
	ret = vfio_pci_core_enable(&mdev->core);
	if (ret)
		return ret;
	ret = mediant_open_policy(mdev);
	if (ret) {
		vfio_pci_core_disable(&mdev->core);
		return ret;
	}
	vfio_pci_core_finish_enable(&mdev->core);
	return 0;
}

void mediant_close_device(struct vfio_device *core_vdev)
{
	mediant_close_policy(mediant_of_vdev(core_vdev));
	vfio_pci_core_close_device(core_vdev);
}
