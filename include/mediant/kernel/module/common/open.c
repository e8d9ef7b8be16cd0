// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Open and close. A device's providers are asked in order of rank until one does not decline; its
 * state lives from open to close, and nothing of it survives.
 */
#include <linux/limits.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pm_runtime.h>
#include <linux/slab.h>

#include "device.h"

struct mediant_device_id mediant_id_of(struct pci_dev *pdev)
{
	return (struct mediant_device_id) {
		.vendor = pdev->vendor,
		.device = pdev->device,
		.subvendor = pdev->subsystem_vendor,
		.subdevice = pdev->subsystem_device,
		.class_code = pdev->class,
	};
}

static void mediant_drop(struct mediant_device *mdev)
{
	mediant_forget_changed(mdev);
	mediant_forget_irqs(mdev);
	mediant_forget_bars(mdev);
	mediant_show_irqs(mdev);
	mediant_forget_log(mdev);
	mdev->provider = NULL;
	mediant_forget_regions(mdev);
}

/* Constructs a policy and opens it; what the user is to see of the regions is known then. */
static int mediant_open_state(struct mediant_device *mdev, void *state)
{
	const struct mediant_provider *provider = mdev->provider;
	int ret;

	mdev->counters = (struct mediant_counters) {};
	provider->construct(state, &mdev->below);
	ret = provider->open(state);
	if (ret)
		return ret;
	mdev->state = state;
	ret = mediant_find_regions(mdev);
	if (!ret)
		ret = mediant_map_bars(mdev);
	if (ret) {
		provider->release(state);
		mdev->state = NULL;
	}
	return ret;
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
	mediant_hide_irqs(mdev);
	mediant_lock(mdev);
	ret = mediant_open_state(mdev, state);
	mediant_unlock(mdev);
	if (!ret)
		return 0;

	mediant_drop(mdev);
	kvfree(state);
	return ret;
}

static int mediant_open_policy(struct mediant_device *mdev)
{
	struct pci_dev *pdev = mdev->core.pdev;
	struct mediant_search search;

	mdev->map_trapped = READ_ONCE(mediant_mmap_trapped_bars);
	if (READ_ONCE(mediant_pass_through))
		return 0;

	mediant_search_begin(&search, pdev);
	while (mediant_search_next(&search)) {
		const struct mediant_provider *provider = search.provider;
		int ret = mediant_open_provider(mdev, provider);

		if (!ret) {
			pci_dbg(pdev, "opened by provider %s\n", provider->name);
			mdev->owner = search.owner;
			return 0;
		}
		if (ret != -ENODEV)
			pci_err(pdev, "provider %s failed to open (%d)\n", provider->name, ret);
		mediant_put_provider(provider, search.owner);
		if (ret != -ENODEV)
			return ret;
	}
	return mediant_search_failed(&search);
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
	/* Finds what can be mapped, which a policy may ask for. */
	vfio_pci_core_finish_enable(&mdev->core);
	mediant_map_all_bars(&mdev->core);
	ret = mediant_open_policy(mdev);
	if (ret) {
		vfio_pci_core_close_device(core_vdev);
		return ret;
	}
	mediant_offer_migration(mdev);
	mediant_offer_log(mdev);
	return 0;
}

void mediant_close_device(struct vfio_device *core_vdev)
{
	struct mediant_device *mdev = mediant_of_vdev(core_vdev);
	const struct mediant_provider *provider = mdev->provider;
	struct module *owner = mdev->owner;

	mediant_end_migration(mdev);
	mediant_close_policy(mdev);
	vfio_pci_core_close_device(core_vdev);

	/* Last: nothing of the provider's may run, or be looked at, behind this. */
	mdev->owner = NULL;
	if (provider)
		mediant_put_provider(provider, owner);
}
