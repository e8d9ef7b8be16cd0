// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * read and write of configuration space, of a policy that has a say in it. It is the core's: what
 * the policy leaves alone goes there with the user's own buffer and outside the policy lock. What
 * it answers or keeps goes to it through a small buffer. What passes and is observed is told
 * afterwards: as it was copied in, where the write can be made here; elsewhere (COMMAND, power
 * state, MSI and other registers of which the core makes something of its own) the core reads user
 * memory itself, and told is what it then holds, so that nothing is decided on bytes that were read
 * twice. From the first such piece to the telling, one write at a time.
 */
#include <linux/minmax.h>
#include <linux/pm_runtime.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "device.h"
#include "trace.h"

/* A user's access. Pieces do not cross a dword, as the core's do not. */
struct mediant_config_access {
	struct mediant_device *mdev;
	unsigned int offset;
	char __user *buf;
	u8 *written; /* of a write: what the policy is told */
	bool write;
};

static unsigned int mediant_config_run(struct mediant_device *mdev, bool write, unsigned int offset,
				       unsigned int count, unsigned int *treatment)
{
	unsigned int run;

	mediant_lock(mdev);
	run = mdev->provider->config_run(mdev->state, write, offset, count, treatment);
	mediant_unlock(mdev);
	return run;
}

/* What the policy answers, or keeps: `at` bytes into the access. Bytes done, or -errno. */
static ssize_t mediant_config_taken(struct mediant_config_access *access, size_t at, size_t count)
{
	struct mediant_device *mdev = access->mdev;
	unsigned int offset = access->offset + at;
	u8 bytes[4] = {};
	ssize_t ret;

	if (access->write) {
		if (copy_from_user(access->written + at, access->buf + at, count))
			return -EFAULT;
		memcpy(bytes, access->written + at, count);
	}

	mediant_lock(mdev);
	if (access->write) {
		mdev->counters.writes++;
		ret = mdev->provider->write(mdev->state, VFIO_PCI_CONFIG_REGION_INDEX, offset,
					    bytes, count);
	} else {
		mdev->counters.reads++;
		ret = mdev->provider->read(mdev->state, VFIO_PCI_CONFIG_REGION_INDEX, offset, bytes,
					   count);
	}
	mediant_unlock(mdev);
	mediant_trace_bytes(mdev, VFIO_PCI_CONFIG_REGION_INDEX, offset, count, access->write, bytes,
			    ret);
	if (ret > 0 && !access->write && copy_to_user(access->buf + at, bytes, ret))
		return -EFAULT;
	return ret;
}

static u32 mediant_value_of(const u8 *bytes, size_t count)
{
	u32 value = 0;

	while (count--)
		value = value << 8 | bytes[count];
	return value;
}

/* A write that is made here, of bytes that were read once. */
static ssize_t mediant_config_stored(struct mediant_config_access *access, size_t at, size_t count)
{
	struct vfio_pci_core_device *core = &access->mdev->core;
	const u8 *bytes = access->written + at;
	u64 offset = access->offset + at;
	size_t done = 0;
	ssize_t ret = 0;

	if (copy_from_user(access->written + at, access->buf + at, count))
		return -EFAULT;
	while (!ret && done < count) {
		unsigned int width = 4;

		while (width > count - done || (offset + done) & (width - 1))
			width /= 2;
		ret = mediant_store_config(core, offset + done, width,
					   mediant_value_of(bytes + done, width));
		done += width;
	}
	ret = ret ?: count;
	trace_mediant_access(core->pdev, VFIO_PCI_CONFIG_REGION_INDEX, offset, count, true, false,
			     mediant_value_of(bytes, count), ret);
	return ret;
}

static ssize_t mediant_config_passed(struct mediant_config_access *access, size_t at, size_t count)
{
	loff_t pos = VFIO_PCI_INDEX_TO_OFFSET(VFIO_PCI_CONFIG_REGION_INDEX) + access->offset + at;

	return mediant_passed(access->mdev, pos, access->buf + at, count, access->write);
}

static ssize_t mediant_config_observed(struct mediant_config_access *access, size_t at,
				       size_t count)
{
	struct vfio_pci_core_device *core = &access->mdev->core;
	unsigned int offset = access->offset + at;
	ssize_t ret;
	int failed;

	if (mediant_stores_config(core, offset, count))
		return mediant_config_stored(access, at, count);
	ret = mediant_config_passed(access, at, count);
	if (ret <= 0)
		return ret;
	failed = mediant_load_written(core, offset, ret, access->written + at);
	return failed ?: ret;
}

/* Tells the policy of `done` bytes, of which some are observed. */
static int mediant_config_tell(struct mediant_config_access *access, size_t done)
{
	struct mediant_device *mdev = access->mdev;
	int ret;

	mediant_lock(mdev);
	ret = mdev->provider->config_written(mdev->state, access->offset, access->written, done);
	mediant_unlock(mdev);
	return ret;
}

static ssize_t mediant_config_pieces(struct mediant_config_access *access, size_t count)
{
	struct mediant_device *mdev = access->mdev;
	bool locked = false, observed = false;
	size_t done = 0;
	ssize_t ret = 0;
	int told = 0;

	while (done < count) {
		unsigned int offset = access->offset + done;
		size_t piece = min_t(size_t, count - done, 4 - (offset & 3));
		unsigned int treatment = 0;

		piece = mediant_config_run(mdev, access->write, offset, piece, &treatment);
		if (treatment & MEDIANT_OBSERVED && !locked) {
			/* Until the policy is told: it is in the order of the writes. */
			ret = mutex_lock_killable(&mdev->observe_lock);
			if (ret)
				break;
			locked = true;
		}
		if (treatment & MEDIANT_TAKEN)
			ret = mediant_config_taken(access, done, piece);
		else if (treatment & MEDIANT_OBSERVED)
			ret = mediant_config_observed(access, done, piece);
		else
			ret = mediant_config_passed(access, done, piece);
		if (ret <= 0)
			break;
		observed = observed || treatment & MEDIANT_OBSERVED;
		done += ret;
		if (ret < piece)
			break;
	}
	if (observed)
		told = mediant_config_tell(access, done);
	if (locked)
		mutex_unlock(&mdev->observe_lock);
	return told ?: done ?: ret;
}

ssize_t mediant_config_rw(struct mediant_device *mdev, char __user *buf, size_t count, loff_t *ppos,
			  bool write)
{
	struct pci_dev *pdev = mdev->core.pdev;
	u64 offset = *ppos & VFIO_PCI_OFFSET_MASK;
	struct mediant_config_access access = {
		.mdev = mdev,
		.offset = offset,
		.buf = buf,
		.write = write,
	};
	ssize_t ret;

	/* What is not within, the core refuses. */
	if (!count || offset >= pdev->cfg_size || count > pdev->cfg_size - offset)
		return mediant_passed(mdev, *ppos, buf, count, write);

	if (write) {
		access.written = kzalloc(count, GFP_KERNEL_ACCOUNT);
		if (!access.written)
			return -ENOMEM;
	}
	/* What only the policy has wakes the device like the rest. */
	ret = pm_runtime_resume_and_get(&pdev->dev);
	if (ret) {
		pci_info_ratelimited(pdev, "runtime resume failed %zd\n", ret);
		ret = -EIO;
		goto out_free;
	}
	ret = mediant_config_pieces(&access, count);
	pm_runtime_put(&pdev->dev);
	if (ret > 0)
		*ppos += ret;
out_free:
	kfree(access.written);
	return ret;
}
