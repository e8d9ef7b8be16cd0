// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * read and write. A BAR that holds a trap is taken apart into what passes, which goes to the core
 * with the user's own buffer and without the policy lock, and what is trapped, which goes to the
 * policy through a small buffer. Configuration space is likewise (config.c) where the policy has a
 * say in it. Everything else is the core's.
 */
#include <linux/bitops.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/nospec.h>
#include <linux/pm_runtime.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <asm/byteorder.h>

#include "device.h"
#include "trace.h"

/*
 * Bytes of one call into the policy. Calls end at a multiple of it, so that a long access is never
 * cut within a register.
 */
#define MEDIANT_CHUNK 64

/*
 * A buffer that faults partway must not turn a register's write into a partial one: what was
 * copied counts up to the last boundary of the widest natural access.
 */
size_t mediant_whole(u64 offset, size_t copied, size_t count)
{
	u64 end = offset + copied;

	if (copied == count)
		return count;
	end = round_down(end, 8);
	return end > offset ? end - offset : 0;
}

void mediant_trace_bytes(struct mediant_device *mdev, unsigned int region, u64 offset, size_t count,
			 bool write, const u8 *bytes, ssize_t result)
{
	__le64 value = 0;

	if (!trace_mediant_access_enabled())
		return;
	memcpy(&value, bytes, min(count, sizeof(value)));
	trace_mediant_access(mdev->core.pdev, region, offset, count, write, true,
			     le64_to_cpu(value), result);
}

static ssize_t mediant_write_chunk(struct mediant_device *mdev, unsigned int bar, u64 offset,
				   const char __user *buf, size_t count)
{
	u8 bytes[MEDIANT_CHUNK] __aligned(8);
	size_t copied = count - copy_from_user(bytes, buf, count);
	ssize_t ret;

	count = mediant_whole(offset, copied, count);
	if (!count)
		return -EFAULT;

	mediant_lock(mdev);
	mdev->counters.writes++;
	ret = mdev->provider->write(mdev->state, bar, offset, bytes, count);
	mediant_unlock(mdev);
	mediant_trace_bytes(mdev, bar, offset, count, true, bytes, ret);
	return ret;
}

static ssize_t mediant_read_chunk(struct mediant_device *mdev, unsigned int bar, u64 offset,
				  char __user *buf, size_t count)
{
	u8 bytes[MEDIANT_CHUNK] __aligned(8) = {};
	ssize_t ret;

	mediant_lock(mdev);
	mdev->counters.reads++;
	ret = mdev->provider->read(mdev->state, bar, offset, bytes, count);
	mediant_unlock(mdev);
	mediant_trace_bytes(mdev, bar, offset, count, false, bytes, ret);
	if (ret <= 0)
		return ret;

	count = min_t(size_t, ret, count);
	count -= copy_to_user(buf, bytes, count);
	return count ?: -EFAULT;
}

/* A trapped run: bytes done, or -errno if there are none. */
static ssize_t mediant_trapped(struct mediant_device *mdev, unsigned int bar, u64 offset,
			       char __user *buf, size_t count, bool write)
{
	struct pci_dev *pdev = mdev->core.pdev;
	ssize_t ret = 0;
	size_t done = 0;

	/* A register that only exists in the policy wakes the device like any other. */
	ret = pm_runtime_resume_and_get(&pdev->dev);
	if (ret) {
		pci_info_ratelimited(pdev, "runtime resume failed %zd\n", ret);
		return -EIO;
	}

	while (done < count) {
		u64 at = offset + done;
		size_t size = min_t(size_t, count - done,
				    MEDIANT_CHUNK - (at & (MEDIANT_CHUNK - 1)));

		if (write)
			ret = mediant_write_chunk(mdev, bar, at, buf + done, size);
		else
			ret = mediant_read_chunk(mdev, bar, at, buf + done, size);
		if (ret <= 0)
			break;
		done += ret;
		if (ret < size)
			break;
		cond_resched();
	}

	pm_runtime_put(&pdev->dev);
	return done ?: ret ?: -EIO;
}

/* A run that passes. The core moves the position only when all went well. */
ssize_t mediant_passed(struct mediant_device *mdev, loff_t pos, char __user *buf, size_t count,
		       bool write)
{
	loff_t start = pos;
	ssize_t ret;

	if (write)
		ret = vfio_pci_core_write(&mdev->core.vdev, buf, count, &pos);
	else
		ret = vfio_pci_core_read(&mdev->core.vdev, buf, count, &pos);
	trace_mediant_access(mdev->core.pdev, VFIO_PCI_OFFSET_TO_INDEX(start),
			     start & VFIO_PCI_OFFSET_MASK, count, write, false, 0, ret);
	return ret;
}

static ssize_t mediant_bar_rw(struct mediant_device *mdev, char __user *buf, size_t count,
			      loff_t *ppos, bool write)
{
	unsigned int bar = array_index_nospec(VFIO_PCI_OFFSET_TO_INDEX(*ppos), MEDIANT_REGIONS);
	u64 offset = *ppos & VFIO_PCI_OFFSET_MASK;
	u64 size = mdev->regions[bar].size;
	size_t done = 0;
	ssize_t ret = 0;

	if (!count)
		return 0;
	if (offset >= size)
		return -EINVAL;
	count = min_t(u64, count, size - offset);

	while (done < count) {
		unsigned int trapped = 1;
		size_t run = mdev->provider->run(mdev->state, bar, offset + done, count - done,
						 &trapped);

		if (trapped)
			ret = mediant_trapped(mdev, bar, offset + done, buf + done, run, write);
		else
			ret = mediant_passed(mdev, *ppos + done, buf + done, run, write);
		if (ret <= 0)
			break;
		done += ret;
		if (ret < run)
			break;
	}

	*ppos += done;
	return done ?: ret;
}

/* Of configuration space the core refuses what is not all within, and so does this. */
static bool mediant_ends_before(struct mediant_device *mdev, loff_t pos, size_t count)
{
	u64 size = mdev->regions[VFIO_PCI_CONFIG_REGION_INDEX].size;
	u64 offset = pos & VFIO_PCI_OFFSET_MASK;

	return count && (offset >= size || count > size - offset);
}

static ssize_t mediant_rw(struct mediant_device *mdev, char __user *buf, size_t count,
			  loff_t *ppos, bool write)
{
	unsigned int index = VFIO_PCI_OFFSET_TO_INDEX(*ppos);

	if (index == VFIO_PCI_CONFIG_REGION_INDEX) {
		if (mediant_mediates(mdev, index) && mediant_ends_before(mdev, *ppos, count))
			return -EFAULT;
		if (mediant_asks(mdev, MEDIANT_CONFIG))
			return mediant_config_rw(mdev, buf, count, ppos, write);
	} else if (mediant_mediates(mdev, index)) {
		return mediant_bar_rw(mdev, buf, count, ppos, write);
	}
	if (write)
		return vfio_pci_core_write(&mdev->core.vdev, buf, count, ppos);
	return vfio_pci_core_read(&mdev->core.vdev, buf, count, ppos);
}

/*
 * Whether an access is the core's alone: to a BAR that is not mediated, or to what of one is the
 * device's. So the provider is not asked of what passes.
 */
static __always_inline bool mediant_passes(struct mediant_device *mdev, loff_t pos, size_t count)
{
	unsigned int index = VFIO_PCI_OFFSET_TO_INDEX(pos);
	u64 offset = pos & VFIO_PCI_OFFSET_MASK;
	u64 end = offset + count - 1;
	const struct mediant_outline *outline;
	const unsigned long *granules;
	unsigned int granule;
	u64 part;

	if (index >= MEDIANT_OUTLINED)
		return false;
	outline = mdev->regions[array_index_nospec(index, MEDIANT_OUTLINED)].outline;
	if (!outline)
		return true;
	part = offset >> outline->shift;
	if (part >= outline->count || end >> outline->shift != part)
		return false;
	granules = outline->granules[outline->part[array_index_nospec(part, outline->count)]];
	granule = outline->shift - ilog2(MEDIANT_GRANULES);
	offset = (offset >> granule) & (MEDIANT_GRANULES - 1);
	end = (end >> granule) & (MEDIANT_GRANULES - 1);
	/* A natural access lies in two granules at most. Events are for all of the BAR. */
	return end - offset <= 1 && !test_bit(offset, granules) && !test_bit(end, granules) &&
	       !trace_mediant_access_enabled();
}

ssize_t mediant_read(struct vfio_device *core_vdev, char __user *buf, size_t count, loff_t *ppos)
{
	struct mediant_device *mdev = mediant_of_vdev(core_vdev);

	if (mediant_passes(mdev, *ppos, count))
		return vfio_pci_core_read(core_vdev, buf, count, ppos);
	return mediant_rw(mdev, buf, count, ppos, false);
}

ssize_t mediant_write(struct vfio_device *core_vdev, const char __user *buf, size_t count,
		      loff_t *ppos)
{
	struct mediant_device *mdev = mediant_of_vdev(core_vdev);

	if (mediant_passes(mdev, *ppos, count))
		return vfio_pci_core_write(core_vdev, buf, count, ppos);
	return mediant_rw(mdev, (char __user *)buf, count, ppos, true);
}
