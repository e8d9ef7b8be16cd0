// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * read and write. A BAR that holds a trap is taken apart into what passes, which goes to the core
 * with the user's own buffer and without the policy lock, and what is trapped, which goes to the
 * policy through a small buffer. Everything else is the core's.
 */
#include <linux/bitops.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/nospec.h>
#include <linux/pm_runtime.h>
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
static size_t mediant_whole(u64 offset, size_t copied, size_t count)
{
	u64 end = offset + copied;

	if (copied == count)
		return count;
	end = round_down(end, 8);
	return end > offset ? end - offset : 0;
}

static void mediant_trace_chunk(struct mediant_device *mdev, unsigned int bar, u64 offset,
				size_t count, bool write, const u8 *bytes, ssize_t result)
{
	__le64 value = 0;

	if (!trace_mediant_access_enabled())
		return;
	memcpy(&value, bytes, min(count, sizeof(value)));
	trace_mediant_access(mdev->core.pdev, bar, offset, count, write, true, le64_to_cpu(value),
			     result);
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
	mediant_trace_chunk(mdev, bar, offset, count, true, bytes, ret);
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
	mediant_trace_chunk(mdev, bar, offset, count, false, bytes, ret);
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
	}

	pm_runtime_put(&pdev->dev);
	return done ?: ret ?: -EIO;
}

/* A run that passes. The core moves the position only when all went well. */
static ssize_t mediant_passed(struct mediant_device *mdev, loff_t *ppos, char __user *buf,
			      size_t count, bool write)
{
	loff_t start = *ppos;
	ssize_t ret;

	if (write)
		ret = vfio_pci_core_write(&mdev->core.vdev, buf, count, ppos);
	else
		ret = vfio_pci_core_read(&mdev->core.vdev, buf, count, ppos);
	trace_mediant_access(mdev->core.pdev, VFIO_PCI_OFFSET_TO_INDEX(start),
			     start & VFIO_PCI_OFFSET_MASK, count, write, false, 0, ret);
	return ret;
}

/* An access of several runs, the first of which is known. */
static noinline ssize_t mediant_runs(struct mediant_device *mdev, char __user *buf, size_t count,
				     loff_t *ppos, bool write, size_t run, unsigned int trapped)
{
	unsigned int bar = VFIO_PCI_OFFSET_TO_INDEX(*ppos);
	u64 offset = *ppos & VFIO_PCI_OFFSET_MASK;
	size_t done = 0;
	ssize_t ret;

	for (;;) {
		loff_t pos = *ppos + done;

		if (trapped)
			ret = mediant_trapped(mdev, bar, offset + done, buf + done, run, write);
		else
			ret = mediant_passed(mdev, &pos, buf + done, run, write);
		if (ret <= 0)
			break;
		done += ret;
		if (ret < run || done == count)
			break;
		run = mdev->provider->run(bar, offset + done, count - done, &trapped);
	}

	*ppos += done;
	return done ?: ret;
}

static ssize_t mediant_rw(struct mediant_device *mdev, char __user *buf, size_t count,
			  loff_t *ppos, bool write)
{
	unsigned int bar = VFIO_PCI_OFFSET_TO_INDEX(*ppos);
	u64 offset = *ppos & VFIO_PCI_OFFSET_MASK;
	u64 size = pci_resource_len(mdev->core.pdev, bar);
	unsigned int trapped = 1;
	ssize_t ret;
	size_t run;

	if (!count)
		return 0;
	if (offset >= size)
		return -EINVAL;
	count = min_t(u64, count, size - offset);

	run = mdev->provider->run(bar, offset, count, &trapped);
	if (run < count)
		return mediant_runs(mdev, buf, count, ppos, write, run, trapped);
	if (!trapped)
		return mediant_passed(mdev, ppos, buf, count, write);
	ret = mediant_trapped(mdev, bar, offset, buf, count, write);
	if (ret > 0)
		*ppos += ret;
	return ret;
}

/*
 * Whether an access is the core's alone: to what is no BAR with a trap, or to a part of one that
 * holds none. What is past the BAR's end is refused by the core as it is here.
 */
static __always_inline bool mediant_passes(struct mediant_device *mdev, loff_t pos, size_t count)
{
	unsigned int bar = VFIO_PCI_OFFSET_TO_INDEX(pos);
	u64 offset = pos & VFIO_PCI_OFFSET_MASK;
	u64 end = offset + count - 1;
	const struct mediant_outline *outline;
	const unsigned long *granules;
	unsigned int granule;
	u64 part;

	if (bar >= PCI_STD_NUM_BARS)
		return true;
	outline = mdev->outline[array_index_nospec(bar, PCI_STD_NUM_BARS)];
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
