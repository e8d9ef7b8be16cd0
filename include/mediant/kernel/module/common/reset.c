// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The policy lock, and resets of the device.
 *
 * A reset may come by ioctl, through config space (FLR), as a hot reset or from sysfs; all of them
 * end in reset_done(), most with memory_lock held for writing. The reset of a link on which an
 * error was seen does not: it comes between error_detected() and resume(), for a fatal error, or
 * since another function's driver asked for it. A policy call takes memory_lock for reading while
 * it holds the policy lock, so reset_done() must not wait for that lock. As in the mlx5 and
 * hisi_acc variant drivers it leaves a note, which whoever holds the lock takes up before letting
 * go. So no access that starts after a reset sees the policy as it was before.
 */
#include "device.h"

void mediant_lock(struct mediant_device *mdev)
{
	mutex_lock(&mdev->lock);
}

void mediant_unlock(struct mediant_device *mdev)
{
	spin_lock(&mdev->reset_lock);
	while (mdev->reset_pending) {
		mdev->reset_pending = false;
		spin_unlock(&mdev->reset_lock);
		/* A reset within open or close finds no state: open constructs it anew. */
		if (mdev->state) {
			mdev->counters.resets++;
			mdev->stream = NULL;
			mdev->provider->reset(mdev->state);
		}
		spin_lock(&mdev->reset_lock);
	}
	/* Under the spinlock, or a note could be left that nobody takes up. */
	mutex_unlock(&mdev->lock);
	spin_unlock(&mdev->reset_lock);
}

/* The device was reset, by whoever holds the lock. */
void mediant_note_reset(struct mediant_device *mdev)
{
	spin_lock(&mdev->reset_lock);
	mdev->reset_pending = true;
	spin_unlock(&mdev->reset_lock);
}

void mediant_reset_done(struct pci_dev *pdev)
{
	struct mediant_device *mdev = mediant_of_core(dev_get_drvdata(&pdev->dev));

	spin_lock(&mdev->reset_lock);
	mdev->reset_pending = true;
	if (!mutex_trylock(&mdev->lock)) {
		spin_unlock(&mdev->reset_lock);
		return;
	}
	spin_unlock(&mdev->reset_lock);
	mediant_unlock(mdev);
}

/*
 * The core tells the user, and has the device go on. A link that is frozen is reset whatever comes
 * of it: the policy is reset at once, since a recovery that another function makes fail says no
 * more, or on newer kernels that it has failed, and once more at the end of one that has not.
 */
pci_ers_result_t mediant_error_detected(struct pci_dev *pdev, pci_channel_state_t state)
{
	struct mediant_device *mdev = mediant_of_core(dev_get_drvdata(&pdev->dev));
	bool frozen = state == pci_channel_io_frozen;

	if (frozen || mdev->frozen)
		mediant_reset_done(pdev);
	mdev->frozen = frozen;
	return vfio_pci_core_aer_err_detected(pdev, state);
}

/*
 * The link was reset, also without having been frozen where a driver beside or above this device
 * wanted that. No vote on how to go on: the core has none either.
 */
pci_ers_result_t mediant_slot_reset(struct pci_dev *pdev)
{
	mediant_reset_done(pdev);
	return PCI_ERS_RESULT_NONE;
}

void mediant_resume(struct pci_dev *pdev)
{
	struct mediant_device *mdev = mediant_of_core(dev_get_drvdata(&pdev->dev));

	if (mdev->frozen)
		mediant_reset_done(pdev);
	mdev->frozen = false;
}
