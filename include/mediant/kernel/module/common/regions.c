// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Which parts of a BAR hold traps, and that nothing leads around them: region info tells which
 * pages can be mapped, mmap and dma-buf keep to these, and ioeventfd is refused.
 */
#include <linux/bitmap.h>
#include <linux/log2.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "device.h"

/*
 * Goes over the traps of a BAR and draws them in `outline`, if it is given. Returns how many sets
 * of granules that takes, at most as many as a part can name: what would need more is drawn as
 * trapped.
 */
static unsigned int mediant_draw_traps(struct mediant_device *mdev, unsigned int bar, u64 size,
				       unsigned int shift, struct mediant_outline *outline)
{
	unsigned int granule = shift - ilog2(MEDIANT_GRANULES);
	u64 offset = 0, drawn = U64_MAX;
	unsigned int sets = 0;
	bool whole;

	while (offset < size) {
		unsigned int trapped = 1;
		u64 end = offset + mdev->provider->run(bar, offset, size - offset, &trapped);

		while (trapped && offset < end) {
			u64 part = offset >> shift;
			u64 stop = min(end, (part + 1) << shift);
			u64 first = (offset >> granule) & (MEDIANT_GRANULES - 1);
			u64 last = ((stop - 1) >> granule) & (MEDIANT_GRANULES - 1);

			if (!sets)
				sets = 2;
			whole = last - first == MEDIANT_GRANULES - 1;
			if (whole || (part != drawn && sets > U8_MAX)) {
				if (outline)
					outline->part[part] = 1;
			} else {
				if (part != drawn)
					sets++;
				drawn = part;
				if (outline) {
					outline->part[part] = sets - 1;
					bitmap_set(outline->granules[sets - 1], first,
						   last - first + 1);
				}
			}
			offset = stop;
		}
		offset = end;
	}
	return sets;
}

/* At open, when the provider is known. To be taken back after an error, too. */
int mediant_find_traps(struct mediant_device *mdev)
{
	unsigned int bar;

	for (bar = 0; bar < PCI_STD_NUM_BARS; bar++) {
		u64 size = mediant_bar_size(mdev->core.pdev, bar);
		struct mediant_outline *outline;
		unsigned int shift, sets;

		if (!size)
			continue;
		shift = max(ilog2(size) - ilog2(MEDIANT_MOST_PARTS), MEDIANT_PART_SHIFT);
		sets = mediant_draw_traps(mdev, bar, size, shift, NULL);
		if (!sets)
			continue;
		outline = kvzalloc(struct_size(outline, granules, sets), GFP_KERNEL_ACCOUNT);
		if (!outline)
			return -ENOMEM;
		outline->shift = shift;
		outline->count = DIV_ROUND_UP_ULL(size, BIT_ULL(shift));
		bitmap_fill(outline->granules[1], MEDIANT_GRANULES);
		mediant_draw_traps(mdev, bar, size, shift, outline);
		mdev->outline[bar] = outline;
		mdev->traps[bar] = true;
	}
	return 0;
}

void mediant_forget_traps(struct mediant_device *mdev)
{
	unsigned int bar;

	for (bar = 0; bar < PCI_STD_NUM_BARS; bar++) {
		mdev->traps[bar] = false;
		kvfree(mdev->outline[bar]);
		mdev->outline[bar] = NULL;
	}
}

/* Whether the region is a BAR that holds a trap. */
bool mediant_traps(struct mediant_device *mdev, unsigned int index)
{
	if (index >= PCI_STD_NUM_BARS)
		return false;
	return mdev->traps[array_index_nospec(index, PCI_STD_NUM_BARS)];
}

/* The first area at or after `from` of a BAR that holds a trap; false where there is none left. */
bool mediant_next_area(struct mediant_device *mdev, unsigned int bar, u64 from,
		       struct mediant_area *area)
{
	u64 size = pci_resource_len(mdev->core.pdev, bar);
	unsigned long long offset = 0, bytes = 0;

	if (!mdev->map_trapped || from >= size)
		return false;
	mdev->provider->next_area(bar, size, PAGE_SIZE, from, &offset, &bytes);
	area->offset = offset;
	area->size = bytes;
	return bytes;
}

/* Whether [offset, offset + size) of a BAR that holds a trap lies in areas that can be mapped. */
static bool mediant_mappable(struct mediant_device *mdev, unsigned int bar, u64 offset, u64 size)
{
	struct mediant_area area;
	u64 end;

	if (check_add_overflow(offset, size, &end))
		return false;
	while (offset < end) {
		if (!mediant_next_area(mdev, bar, offset, &area) || area.offset > offset)
			return false;
		offset = area.offset + area.size;
	}
	return true;
}

/* Makes what the core says of a BAR that holds a trap true of its parts. */
static int mediant_limit_mmap(struct mediant_device *mdev, struct vfio_region_info *info,
			      struct vfio_info_cap *caps)
{
	struct vfio_region_info_cap_sparse_mmap *sparse;
	struct mediant_area area;
	size_t size;
	u32 count = 0;
	u64 from;
	int ret;

	if (!(info->flags & VFIO_REGION_INFO_FLAG_MMAP))
		return 0;

	for (from = 0; mediant_next_area(mdev, info->index, from, &area);
	     from = area.offset + area.size)
		count++;
	if (!count) {
		info->flags &= ~VFIO_REGION_INFO_FLAG_MMAP;
		return 0;
	}

	size = struct_size(sparse, areas, count);
	sparse = kzalloc(size, GFP_KERNEL);
	if (!sparse)
		return -ENOMEM;
	sparse->header.id = VFIO_REGION_INFO_CAP_SPARSE_MMAP;
	sparse->header.version = 1;
	sparse->nr_areas = count;
	count = 0;
	for (from = 0; count < sparse->nr_areas &&
	     mediant_next_area(mdev, info->index, from, &area); from = area.offset + area.size) {
		sparse->areas[count].offset = area.offset;
		sparse->areas[count].size = area.size;
		count++;
	}
	ret = vfio_info_add_capability(caps, &sparse->header, size);
	kfree(sparse);
	return ret;
}

#ifdef HAVE_GET_REGION_INFO_CAPS

int mediant_get_region_info_caps(struct vfio_device *core_vdev, struct vfio_region_info *info,
				 struct vfio_info_cap *caps)
{
	struct mediant_device *mdev = mediant_of_vdev(core_vdev);
	int ret = vfio_pci_ioctl_get_region_info(core_vdev, info, caps);

	if (ret || !mediant_traps(mdev, info->index))
		return ret;
	return mediant_limit_mmap(mdev, info, caps);
}

#else

static int mediant_describe_bar(struct mediant_device *mdev, struct vfio_region_info *info,
				struct vfio_info_cap *caps)
{
	struct vfio_info_cap_header msix = {
		.id = VFIO_REGION_INFO_CAP_MSIX_MAPPABLE,
		.version = 1,
	};
	unsigned int bar = array_index_nospec(info->index, PCI_STD_NUM_BARS);
	int ret;

	info->offset = VFIO_PCI_INDEX_TO_OFFSET(bar);
	info->size = pci_resource_len(mdev->core.pdev, bar);
	info->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	if (mdev->core.bar_mmap_supported[bar]) {
		info->flags |= VFIO_REGION_INFO_FLAG_MMAP;
		if (bar == mdev->core.msix_bar) {
			ret = vfio_info_add_capability(caps, &msix, sizeof(msix));
			if (ret)
				return ret;
		}
	}
	return mediant_limit_mmap(mdev, info, caps);
}

static long mediant_ioctl_region_info(struct mediant_device *mdev,
				      struct vfio_region_info __user *arg)
{
	unsigned long minsz = offsetofend(struct vfio_region_info, offset);
	struct vfio_info_cap caps = {};
	struct vfio_region_info info;
	long ret;

	if (copy_from_user(&info, arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz)
		return -EINVAL;

	/*
	 * The core reads the argument again. A user who changes the index meanwhile is told of a
	 * whole BAR, which mmap does not believe.
	 */
	if (!mediant_traps(mdev, info.index))
		return vfio_pci_core_ioctl(&mdev->core.vdev, VFIO_DEVICE_GET_REGION_INFO,
					   (unsigned long)arg);

	info.cap_offset = 0;
	ret = mediant_describe_bar(mdev, &info, &caps);
	if (ret)
		goto out;
	if (caps.size) {
		info.flags |= VFIO_REGION_INFO_FLAG_CAPS;
		if (info.argsz < sizeof(info) + caps.size) {
			info.argsz = sizeof(info) + caps.size;
		} else {
			vfio_info_cap_shift(&caps, sizeof(info));
			if (copy_to_user(arg + 1, caps.buf, caps.size)) {
				ret = -EFAULT;
				goto out;
			}
			info.cap_offset = sizeof(*arg);
		}
	}
	if (copy_to_user(arg, &info, minsz))
		ret = -EFAULT;
out:
	kfree(caps.buf);
	return ret;
}

#endif /* HAVE_GET_REGION_INFO_CAPS */

static bool mediant_traps_any(struct mediant_device *mdev)
{
	unsigned int bar;

	for (bar = 0; bar < PCI_STD_NUM_BARS; bar++)
		if (mdev->traps[bar])
			return true;
	return false;
}

long mediant_ioctl(struct vfio_device *core_vdev, unsigned int cmd, unsigned long arg)
{
	struct mediant_device *mdev = mediant_of_vdev(core_vdev);

	switch (cmd) {
#ifndef HAVE_GET_REGION_INFO_CAPS
	case VFIO_DEVICE_GET_REGION_INFO:
		return mediant_ioctl_region_info(mdev, (void __user *)arg);
#endif
	case VFIO_DEVICE_IOEVENTFD:
		/*
		 * An ioeventfd writes to the device from the core and would go around a trap. The
		 * core reads the argument again, so that what is checked here need not be what is
		 * done there: while any BAR holds a trap there is none for any BAR. The error is
		 * the core's own for an ioeventfd on the MSI-X table.
		 */
		if (mediant_traps_any(mdev))
			return -EINVAL;
		break;
	}
	return vfio_pci_core_ioctl(core_vdev, cmd, arg);
}

int mediant_mmap(struct vfio_device *core_vdev, struct vm_area_struct *vma)
{
	struct mediant_device *mdev = mediant_of_vdev(core_vdev);
	unsigned int index = vma->vm_pgoff >> (VFIO_PCI_OFFSET_SHIFT - PAGE_SHIFT);
	u64 offset = ((u64)vma->vm_pgoff << PAGE_SHIFT) & VFIO_PCI_OFFSET_MASK;

	if (mediant_traps(mdev, index) &&
	    !mediant_mappable(mdev, index, offset, vma->vm_end - vma->vm_start))
		return -EINVAL;
	return vfio_pci_core_mmap(core_vdev, vma);
}

#ifdef HAVE_GET_DMABUF_PHYS

#ifdef HAVE_DMA_BUF_PHYS_VEC
#define phys_vec dma_buf_phys_vec
#endif

static int mediant_get_dmabuf_phys(struct vfio_pci_core_device *core,
				   struct p2pdma_provider **provider, unsigned int region_index,
				   struct phys_vec *vec, struct vfio_region_dma_range *dma_ranges,
				   size_t nr_ranges)
{
	struct mediant_device *mdev = mediant_of_core(core);
	size_t i;

	for (i = 0; mediant_traps(mdev, region_index) && i < nr_ranges; i++)
		if (!mediant_mappable(mdev, region_index, dma_ranges[i].offset,
				      dma_ranges[i].length))
			return -EINVAL;
	return vfio_pci_core_get_dmabuf_phys(core, provider, region_index, vec, dma_ranges,
					     nr_ranges);
}

const struct vfio_pci_device_ops mediant_pci_ops = {
	.get_dmabuf_phys = mediant_get_dmabuf_phys,
};

#endif /* HAVE_GET_DMABUF_PHYS */
