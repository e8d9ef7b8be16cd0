// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The log of what the device writes to memory. The hardware tells nobody: a policy that mediates
 * reports says what it knows of, and only then is there a log at all, since one that stays empty
 * would pass for a device that writes nothing. A bit a page, under the policy lock, as each policy
 * call is; a report takes the bits in pieces, and the user's bitmap is written without the lock. So
 * what is marked while a piece is reported is in the next report.
 */
#include <linux/bitmap.h>
#include <linux/err.h>
#include <linux/interval_tree.h>
#include <linux/iova_bitmap.h>
#include <linux/log2.h>
#include <linux/math.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/pm_runtime.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "device.h"

#define MEDIANT_LEAST_PAGE SZ_4K
/* Bytes of bits at most: 2 TiB of address space at 4 KiB. */
#define MEDIANT_MOST_LOG SZ_64M

/* Bits for whole pages from that of `first` on. */
struct mediant_log_area {
	u64 first, last; /* inclusive: it may end at the very top */
	unsigned long *bits;
};

struct mediant_log {
	unsigned int shift; /* of a page */
	unsigned int count;
	struct mediant_log_area areas[];
};

static u64 mediant_log_bit(const struct mediant_log *log, const struct mediant_log_area *area,
			   u64 iova)
{
	return (iova >> log->shift) - (area->first >> log->shift);
}

static void mediant_free_log(struct mediant_log *log)
{
	unsigned int i;

	if (!log)
		return;
	for (i = 0; i < log->count; i++)
		kvfree(log->areas[i].bits);
	kvfree(log);
}

/* No call into the policy is made any more, or none is made with another log. */
void mediant_forget_log(struct mediant_device *mdev)
{
	mediant_free_log(mdev->log);
	mdev->log = NULL;
	mdev->log_page = 0;
}

static int mediant_add_area(struct mediant_log *log, const struct mediant_range *range, u64 *left)
{
	struct mediant_log_area *area = &log->areas[log->count];
	u64 bits, bytes;

	if (!range->size || range->size - 1 > U64_MAX - range->offset)
		return -EINVAL;
	area->first = range->offset;
	area->last = range->offset + (range->size - 1);
	bits = mediant_log_bit(log, area, area->last);
	bytes = (bits / BITS_PER_LONG + 1) * sizeof(long);
	if (bytes > *left)
		return -E2BIG;
	*left -= bytes;
	area->bits = kvzalloc(bytes, GFP_KERNEL_ACCOUNT);
	if (!area->bits)
		return -ENOMEM;
	log->count++;
	return 0;
}

int mediant_below_start_log(void *device, unsigned long long page,
			    const struct mediant_range *ranges, unsigned int count,
			    unsigned long long *tracked)
{
	struct mediant_device *mdev = device;
	struct mediant_log *log;
	u64 left = MEDIANT_MOST_LOG;
	unsigned int i;
	int ret = 0;

	if (!is_power_of_2(page) || !count)
		return -EINVAL;
	log = kvzalloc(struct_size(log, areas, count), GFP_KERNEL_ACCOUNT);
	if (!log)
		return -ENOMEM;
	log->shift = ilog2(max_t(u64, page, MEDIANT_LEAST_PAGE));
	for (i = 0; i < count && !ret; i++)
		ret = mediant_add_area(log, &ranges[i], &left);
	if (ret) {
		mediant_free_log(log);
		return ret;
	}
	mediant_free_log(mdev->log);
	mdev->log = log;
	*tracked = BIT_ULL(log->shift);
	return 0;
}

int mediant_below_stop_log(void *device)
{
	struct mediant_device *mdev = device;

	mediant_free_log(mdev->log);
	mdev->log = NULL;
	return 0;
}

void mediant_below_dirty(void *device, unsigned long long iova, unsigned long long size)
{
	struct mediant_device *mdev = device;
	struct mediant_log *log = mdev->log;
	u64 last = iova + (size - 1);
	unsigned int i;

	if (!log)
		return;
	for (i = 0; i < log->count; i++) {
		struct mediant_log_area *area = &log->areas[i];
		u64 from, until;

		if (area->last < iova || area->first > last)
			continue;
		from = mediant_log_bit(log, area, max(iova, area->first));
		until = mediant_log_bit(log, area, min(last, area->last));
		bitmap_set(area->bits, from, until - from + 1);
	}
}

/* Of [first, last], which are in the area, and in a report that begins at `iova`. */
static void mediant_report_area(struct mediant_log *log, struct mediant_log_area *area, u64 first,
				u64 last, u64 iova, unsigned int shift, u64 *bits, bool forgets)
{
	unsigned long end = mediant_log_bit(log, area, last) + 1;
	unsigned long at = mediant_log_bit(log, area, first);

	for_each_set_bit_from(at, area->bits, end) {
		u64 there = (((area->first >> log->shift) + at) << log->shift) - iova;

		there >>= shift;
		bits[there / 64] |= BIT_ULL(there % 64);
		if (forgets)
			__clear_bit(at, area->bits);
	}
}

int mediant_below_report_log(void *device, unsigned long long iova, unsigned long long length,
			     unsigned long long page, unsigned long long *bits, unsigned int words,
			     unsigned int forgets)
{
	struct mediant_device *mdev = device;
	struct mediant_log *log = mdev->log;
	u64 last = iova + (length - 1);
	unsigned int i;

	if (!log || !is_power_of_2(page) || page >> log->shift == 0)
		return -EINVAL;
	if (!length || (iova | length) & (page - 1) || length - 1 > U64_MAX - iova ||
	    words != DIV_ROUND_UP_ULL(length >> ilog2(page), 64))
		return -EINVAL;
	memset(bits, 0, words * sizeof(*bits));
	for (i = 0; i < log->count; i++) {
		struct mediant_log_area *area = &log->areas[i];

		if (area->last >= iova && area->first <= last)
			mediant_report_area(log, area, max(iova, area->first),
					    min(last, area->last), iova, ilog2(page), bits,
					    forgets);
	}
	return 0;
}

#if !defined(HAVE_IOMMUFD_IOVA_BITMAP) || IS_ENABLED(CONFIG_IOMMUFD_DRIVER)

/* A policy asks the device what it has done. */
static int mediant_log_enter(struct mediant_device *mdev)
{
	if (pm_runtime_resume_and_get(&mdev->core.pdev->dev))
		return -EIO;
	mediant_lock(mdev);
	return 0;
}

static void mediant_log_leave(struct mediant_device *mdev)
{
	mediant_unlock(mdev);
	pm_runtime_put(&mdev->core.pdev->dev);
}

static int mediant_log_start(struct vfio_device *core_vdev, struct rb_root_cached *ranges,
			     u32 count, u64 *page)
{
	struct mediant_device *mdev = mediant_of_vdev(core_vdev);
	struct interval_tree_node *node;
	struct mediant_range *flat;
	unsigned long long tracked = 0;
	u32 i = 0;
	int ret;

	if (!is_power_of_2(*page))
		return -EINVAL;
	flat = kvcalloc(count, sizeof(*flat), GFP_KERNEL_ACCOUNT);
	if (!flat)
		return -ENOMEM;
	for (node = interval_tree_iter_first(ranges, 0, ULONG_MAX); node && i < count;
	     node = interval_tree_iter_next(node, 0, ULONG_MAX)) {
		flat[i].offset = node->start;
		flat[i].size = (u64)node->last - node->start + 1;
		i++;
	}

	ret = mediant_log_enter(mdev);
	if (ret)
		goto out_free;
	ret = mdev->provider->start_dma_logging(mdev->state, *page, flat, i, &tracked);
	if (!ret) {
		if (is_power_of_2(tracked)) {
			mdev->log_page = tracked;
		} else {
			mdev->provider->stop_dma_logging(mdev->state);
			mdev->log_page = 0;
			ret = -EIO;
		}
	} /* else a log that ran goes on */
	mediant_log_leave(mdev);
	if (!ret)
		*page = tracked;
out_free:
	kvfree(flat);
	return ret;
}

static int mediant_log_stop(struct vfio_device *core_vdev)
{
	struct mediant_device *mdev = mediant_of_vdev(core_vdev);
	int ret;

	ret = mediant_log_enter(mdev);
	if (ret)
		return ret;
	ret = mdev->provider->stop_dma_logging(mdev->state);
	mdev->log_page = 0;
	mediant_log_leave(mdev);
	return ret;
}

/* The user's bitmap, which may be finer or coarser than what is tracked. */
static void mediant_set_dirty(struct iova_bitmap *dirty, u64 iova, u64 page, const u64 *bits,
			      unsigned int count)
{
	unsigned int at, from = 0;
	bool before = false;

	for (at = 0; at <= count; at++) {
		bool now = at < count && bits[at / 64] & BIT_ULL(at % 64);

		if (now && !before)
			from = at;
		else if (before && !now)
			iova_bitmap_set(dirty, iova + from * page, (at - from) * page);
		before = now;
	}
}

static int mediant_log_read_and_clear(struct vfio_device *core_vdev, unsigned long iova,
				      unsigned long length, struct iova_bitmap *dirty)
{
	struct mediant_device *mdev = mediant_of_vdev(core_vdev);
	unsigned long long bits[MEDIANT_REPORT_WORDS];
	u64 done = 0;

	while (done < length) {
		u64 page, piece = 0;
		int ret;

		ret = mediant_log_enter(mdev);
		if (ret)
			return ret;
		page = mdev->log_page;
		ret = -EINVAL;
		/* Pages are told, and forgotten, whole; each time: the log may be another. */
		if (page && !(((iova + done) | (length - done)) & (page - 1))) {
			unsigned int count;

			count = min_t(u64, (length - done) >> ilog2(page),
				      64 * MEDIANT_REPORT_WORDS);
			piece = (u64)count << ilog2(page);
			ret = mdev->provider->report_dma_logging(mdev->state, iova + done, piece,
								 page, bits,
								 DIV_ROUND_UP(count, 64), true);
		}
		mediant_log_leave(mdev);
		if (ret)
			return ret;
		mediant_set_dirty(dirty, iova + done, page, bits, piece >> ilog2(page));
		done += piece;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

static const struct vfio_log_ops mediant_log_ops = {
	.log_start = mediant_log_start,
	.log_stop = mediant_log_stop,
	.log_read_and_clear = mediant_log_read_and_clear,
};

/* While the device is open, as migration.c has it and says why. */
void mediant_offer_log(struct mediant_device *mdev)
{
	if (mediant_asks(mdev, MEDIANT_DMA_LOGGING))
		mdev->core.vdev.log_ops = &mediant_log_ops;
}

#ifdef HAVE_IOMMUFD_IOVA_BITMAP
#ifdef HAVE_IMPORT_NS_TOKEN
MODULE_IMPORT_NS(IOMMUFD);
#else
MODULE_IMPORT_NS("IOMMUFD");
#endif
#endif

#else /* from 6.7 on the bitmaps of users are IOMMUFD's, which a kernel may lack */

void mediant_offer_log(struct mediant_device *mdev)
{
}

#endif
