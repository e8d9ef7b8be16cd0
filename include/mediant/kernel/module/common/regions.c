// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * What the user sees of a region, which parts of it hold traps, and that nothing leads around
 * these: region info tells which pages can be mapped, mmap and dma-buf keep to them, and ioeventfd
 * is refused.
 */
#include <linux/bitmap.h>
#include <linux/log2.h>
#include <linux/math.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "device.h"

#define MEDIANT_REGION_FLAGS (VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE |	\
			      VFIO_REGION_INFO_FLAG_MMAP)

/*
 * As the core has it, but for a ROM that cannot be read: the policy that asks for it may be within
 * an access, and looking would turn memory on.
 */
int mediant_below_region_info(void *device, unsigned int region, unsigned long long *size,
			      unsigned int *flags)
{
	struct mediant_device *mdev = device;
	struct pci_dev *pdev = mdev->core.pdev;

	*flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	switch (region) {
	case VFIO_PCI_BAR0_REGION_INDEX ... VFIO_PCI_BAR5_REGION_INDEX:
		region = array_index_nospec(region, PCI_STD_NUM_BARS);
		*size = mediant_bar_size(pdev, region);
		if (mdev->core.bar_mmap_supported[region])
			*flags |= VFIO_REGION_INFO_FLAG_MMAP;
		break;
	case VFIO_PCI_ROM_REGION_INDEX:
		*size = mediant_rom_size(pdev);
		*flags = VFIO_REGION_INFO_FLAG_READ;
		break;
	case VFIO_PCI_CONFIG_REGION_INDEX:
		*size = pdev->cfg_size;
		break;
	case VFIO_PCI_VGA_REGION_INDEX:
		if (!mdev->core.has_vga)
			return -EINVAL;
		*size = 0xc0000;
		break;
	default:
		return -EINVAL;
	}
	if (!*size)
		*flags = 0;
	return 0;
}

/*
 * What the policy makes of a region. True where that is another matter than what is below. The
 * policy lock must be held.
 */
static int mediant_see_region(struct mediant_device *mdev, unsigned int index,
			      unsigned long long *size, unsigned int *flags, bool *differs)
{
	unsigned long long below = 0;
	unsigned int below_flags = 0;
	int ret, below_ret;

	*size = 0;
	*flags = 0;
	*differs = false;
	below_ret = mediant_below_region_info(mdev, index, &below, &below_flags);
	if (!mediant_asks(mdev, MEDIANT_REGION_INFO)) {
		*size = below;
		*flags = below_flags;
		return below_ret;
	}
	ret = mdev->provider->region_info(mdev->state, index, size, flags);
	if (ret || below_ret)
		*differs = ret != below_ret;
	else
		*differs = *size != below || (*flags & MEDIANT_REGION_FLAGS) != below_flags;
	return ret;
}

static bool mediant_holds_trap(struct mediant_device *mdev, unsigned int index, u64 size)
{
	unsigned int trapped = 0;
	u64 offset = 0;

	/* Configuration space is config.c's matter, and VGA's ranges have no maps. */
	if (index > VFIO_PCI_ROM_REGION_INDEX)
		return false;
	while (offset < size && !trapped)
		offset += mdev->provider->run(mdev->state, index, offset, size - offset, &trapped);
	return trapped;
}

/*
 * Says that the provider is to be asked of [offset, end) of a region. Returns how many sets of
 * granules there are then; without an outline it only counts. A part can name no more than 256:
 * those behind are asked of as a whole.
 */
static unsigned int mediant_draw(struct mediant_outline *outline, unsigned int shift,
				 unsigned int sets, u64 *drawn, u64 offset, u64 end)
{
	unsigned int granule = shift - ilog2(MEDIANT_GRANULES);

	while (offset < end) {
		u64 part = offset >> shift;
		u64 stop = min(end, (part + 1) << shift);
		u64 first = (offset >> granule) & (MEDIANT_GRANULES - 1);
		u64 last = ((stop - 1) >> granule) & (MEDIANT_GRANULES - 1);

		offset = stop;
		if (part != *drawn && (sets > U8_MAX || last - first == MEDIANT_GRANULES - 1)) {
			/* Nothing more can be said of it. */
			if (outline)
				outline->part[part] = 1;
			continue;
		}
		if (outline && outline->part[part] == 1)
			continue;
		if (part != *drawn)
			sets++;
		*drawn = part;
		if (outline) {
			outline->part[part] = sets - 1;
			bitmap_set(outline->granules[sets - 1], first, last - first + 1);
		}
	}
	return sets;
}

static unsigned int mediant_draw_region(struct mediant_device *mdev, unsigned int index, u64 size,
					unsigned int shift, struct mediant_outline *outline)
{
	u64 drawn = U64_MAX, offset = 0;
	unsigned int sets = 2;

	while (offset < size) {
		unsigned int trapped = 1;
		u64 end = offset + mdev->provider->run(mdev->state, index, offset, size - offset,
						       &trapped);

		if (trapped)
			sets = mediant_draw(outline, shift, sets, &drawn, offset, end);
		offset = end;
	}
	return mediant_draw(outline, shift, sets, &drawn, size, round_up(size, BIT_ULL(shift)));
}

static struct mediant_outline *mediant_outline(struct mediant_device *mdev, unsigned int index,
					       u64 size)
{
	struct mediant_outline *outline;
	unsigned int shift = MEDIANT_PART_SHIFT, sets;

	if (size > (u64)MEDIANT_MOST_PARTS << shift)
		shift = order_base_2(size) - ilog2(MEDIANT_MOST_PARTS);
	sets = mediant_draw_region(mdev, index, size, shift, NULL);
	outline = kvzalloc(struct_size(outline, granules, sets), GFP_KERNEL_ACCOUNT);
	if (!outline)
		return NULL;
	outline->shift = shift;
	outline->count = round_up(size, BIT_ULL(shift)) >> shift;
	bitmap_fill(outline->granules[1], MEDIANT_GRANULES);
	mediant_draw_region(mdev, index, size, shift, outline);
	return outline;
}

/*
 * At open, when the policy has a state; to be forgotten after an error, too. The policy lock must
 * be held.
 */
int mediant_find_regions(struct mediant_device *mdev)
{
	unsigned int index;

	for (index = 0; index < MEDIANT_REGIONS; index++) {
		struct mediant_region *region = &mdev->regions[index];
		unsigned long long size;
		unsigned int flags;
		bool differs;

		if (mediant_see_region(mdev, index, &size, &flags, &differs)) {
			size = 0;
			flags = 0;
		}
		region->size = size;
		region->mediated = differs || mediant_holds_trap(mdev, index, size);
		region->mappable = flags & VFIO_REGION_INFO_FLAG_MMAP;
		if (!region->mediated || index >= MEDIANT_OUTLINED)
			continue;
		region->outline = mediant_outline(mdev, index, size);
		if (!region->outline)
			return -ENOMEM;
	}
	return 0;
}

void mediant_forget_regions(struct mediant_device *mdev)
{
	unsigned int index;

	for (index = 0; index < MEDIANT_REGIONS; index++)
		kvfree(mdev->regions[index].outline);
	memset(mdev->regions, 0, sizeof(mdev->regions));
}

/* Whether accesses to the region, or mappings, are not the core's alone. */
bool mediant_mediates(struct mediant_device *mdev, unsigned int index)
{
	if (index >= MEDIANT_REGIONS)
		return false;
	return mdev->regions[array_index_nospec(index, MEDIANT_REGIONS)].mediated;
}

/*
 * The first area at or after `from` of a mediated region; false where there is none left. One of
 * dynamic pages ends where they do, so that it can be taken back by itself.
 */
bool mediant_next_area(struct mediant_device *mdev, unsigned int bar, u64 from,
		       struct mediant_area *area)
{
	struct mediant_region *region = &mdev->regions[array_index_nospec(bar, MEDIANT_REGIONS)];
	u64 size = region->size;
	unsigned long long offset = 0, bytes = 0;

	if (!mdev->map_trapped || !region->mappable || from >= size)
		return false;
	do {
		mdev->provider->next_area(mdev->state, bar, size, PAGE_SIZE, from, &offset, &bytes);
		area->offset = offset;
		area->size = bytes;
		if (!bytes || !mediant_asks(mdev, MEDIANT_DYNAMIC))
			return bytes;
		mediant_is_dynamic(mdev, bar, offset, &area->size);
		area->size = round_down(area->size, PAGE_SIZE);
		/* A page of which only a part is dynamic, as larger ones may be, is in no area. */
		from = offset + PAGE_SIZE;
	} while (!area->size);
	return true;
}

/* Whether [offset, offset + size) of a mediated region lies in areas that can be mapped. */
bool mediant_mappable(struct mediant_device *mdev, unsigned int bar, u64 offset, u64 size)
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

/* Makes what the core says of a mediated BAR true of its parts. */
static int mediant_list_areas(struct mediant_device *mdev, struct vfio_region_info *info,
			      struct vfio_info_cap *caps)
{
	struct vfio_region_info_cap_sparse_mmap *sparse;
	struct mediant_area area;
	size_t size;
	u32 count = 0;
	u64 from;
	int ret;

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

static int mediant_limit_mmap(struct mediant_device *mdev, struct vfio_region_info *info,
			      struct vfio_info_cap *caps)
{
	bool switches = mediant_asks(mdev, MEDIANT_DYNAMIC);
	int ret;

	if (!(info->flags & VFIO_REGION_INFO_FLAG_MMAP))
		return 0;

	/* All of them as they are at one time. */
	if (switches)
		mediant_lock(mdev);
	ret = mediant_list_areas(mdev, info, caps);
	if (switches)
		mediant_unlock(mdev);
	return ret;
}

/* What the core says of a region, as the policy has it. */
static int mediant_shape_region(struct mediant_device *mdev, struct vfio_region_info *info,
				struct vfio_info_cap *caps)
{
	unsigned long long size;
	unsigned int flags;
	bool differs;
	int ret;

	if (mediant_asks(mdev, MEDIANT_REGION_INFO) && info->index < VFIO_PCI_NUM_REGIONS) {
		mediant_lock(mdev);
		ret = mediant_see_region(mdev, info->index, &size, &flags, &differs);
		mediant_unlock(mdev);
		if (ret)
			return ret;
		if (differs) {
			info->size = size;
			info->flags = (info->flags & ~MEDIANT_REGION_FLAGS) |
				      (flags & MEDIANT_REGION_FLAGS);
		}
	}
	if (!mediant_mediates(mdev, info->index))
		return 0;
	return mediant_limit_mmap(mdev, info, caps);
}

#ifdef HAVE_GET_REGION_INFO_CAPS

int mediant_get_region_info_caps(struct vfio_device *core_vdev, struct vfio_region_info *info,
				 struct vfio_info_cap *caps)
{
	int ret = vfio_pci_ioctl_get_region_info(core_vdev, info, caps);

	return ret ?: mediant_shape_region(mediant_of_vdev(core_vdev), info, caps);
}

#else

/* A region of which the policy has a say, as the core would describe it. */
static int mediant_describe_region(struct mediant_device *mdev, struct vfio_region_info *info,
				   struct vfio_info_cap *caps)
{
	struct vfio_info_cap_header msix = {
		.id = VFIO_REGION_INFO_CAP_MSIX_MAPPABLE,
		.version = 1,
	};
	unsigned long long size = 0;
	unsigned int flags = 0;
	int ret;

	ret = mediant_below_region_info(mdev, info->index, &size, &flags);
	if (ret)
		return ret;
	info->offset = VFIO_PCI_INDEX_TO_OFFSET(info->index);
	info->size = size;
	info->flags = flags;
	if (flags & VFIO_REGION_INFO_FLAG_MMAP && info->index == mdev->core.msix_bar) {
		ret = vfio_info_add_capability(caps, &msix, sizeof(msix));
		if (ret)
			return ret;
	}
	return mediant_shape_region(mdev, info, caps);
}

/* Whether the policy, and not the core, says what the user is told of a region. */
static bool mediant_describes(struct mediant_device *mdev, unsigned int index)
{
	if (mediant_mediates(mdev, index))
		return true;
	return mediant_asks(mdev, MEDIANT_REGION_INFO) && index < VFIO_PCI_NUM_REGIONS &&
	       index != VFIO_PCI_ROM_REGION_INDEX;
}

long mediant_ioctl_region_info(struct mediant_device *mdev, struct vfio_region_info __user *arg)
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
	 * whole region, which no access and no mapping believes.
	 */
	if (!mediant_describes(mdev, info.index))
		return vfio_pci_core_ioctl(&mdev->core.vdev, VFIO_DEVICE_GET_REGION_INFO,
					   (unsigned long)arg);

	info.cap_offset = 0;
	ret = mediant_describe_region(mdev, &info, &caps);
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

int mediant_mmap(struct vfio_device *core_vdev, struct vm_area_struct *vma)
{
	struct mediant_device *mdev = mediant_of_vdev(core_vdev);
	unsigned int index = vma->vm_pgoff >> (VFIO_PCI_OFFSET_SHIFT - PAGE_SHIFT);
	u64 offset = ((u64)vma->vm_pgoff << PAGE_SHIFT) & VFIO_PCI_OFFSET_MASK;

	if (mediant_mediates(mdev, index)) {
		if (!mediant_mappable(mdev, index, offset, vma->vm_end - vma->vm_start))
			return -EINVAL;
		if (mediant_asks(mdev, MEDIANT_DYNAMIC))
			return mediant_mmap_dynamic(mdev, vma, index, offset);
	}
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

	for (i = 0; mediant_mediates(mdev, region_index) && i < nr_ranges; i++) {
		u64 offset = dma_ranges[i].offset, size = dma_ranges[i].length;

		if (!mediant_mappable(mdev, region_index, offset, size))
			return -EINVAL;
		/* Who has a dma-buf cannot be made to give a part of it back. */
		if (mediant_asks(mdev, MEDIANT_DYNAMIC) &&
		    mediant_any_dynamic(mdev, region_index, offset, size))
			return -EINVAL;
	}
	return vfio_pci_core_get_dmabuf_phys(core, provider, region_index, vec, dma_ranges,
					     nr_ranges);
}

const struct vfio_pci_device_ops mediant_pci_ops = {
	.get_dmabuf_phys = mediant_get_dmabuf_phys,
};

#endif /* HAVE_GET_DMABUF_PHYS */
