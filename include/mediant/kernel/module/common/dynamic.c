// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Dynamic ranges: pages of a BAR that a policy traps at one time and passes at another. Accesses to
 * them by read and write always go to the policy, under the policy lock, where what is switched is
 * switched, too; so none comes between. What is here is about mappings: a page is filled in only
 * while it passes, and emptied before it traps. A mapping that faults on what traps gets SIGBUS.
 *
 * A page that was put into an IOMMU (a mapping of it given to type1 as memory for DMA) is beyond
 * reach, as it is for the core when memory is disabled: that is between the user's own devices.
 */
#include <linux/eventfd.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "device.h"

void mediant_init_dynamic(struct mediant_device *mdev)
{
	init_rwsem(&mdev->map_lock);
#ifdef HAVE_VFIO_PCI_VMA_LIST
	INIT_LIST_HEAD(&mdev->mappings);
#endif
}

/*
 * Whether a page that can be mapped now is dynamic, and how many of the *size bytes from there on
 * are likewise.
 */
bool mediant_is_dynamic(struct mediant_device *mdev, unsigned int bar, u64 offset, u64 *size)
{
	unsigned int first = 0, next = 0;
	u64 done;

	done = mdev->provider->run(mdev->state, bar, offset, *size, &first);
#ifdef MEDIANT_FAULT_FILLS_ALL
	/* Each range by itself: its neighbour may trap when a mapping of both is filled in. */
	if (first) {
		*size = done;
		return true;
	}
#endif
	while (done < *size) {
		u64 more = mdev->provider->run(mdev->state, bar, offset + done, *size - done,
					       &next);

		if (next != first)
			break;
		done += more;
	}
	*size = done;
	return first;
}

bool mediant_any_dynamic(struct mediant_device *mdev, unsigned int bar, u64 offset, u64 size)
{
	u64 alike = size;

	return mediant_is_dynamic(mdev, bar, offset, &alike) || alike < size;
}

/* Where in which BAR a mapping begins. */
static u64 mediant_place(struct mediant_device *mdev, struct vm_area_struct *vma, unsigned int *bar)
{
	u64 place = (u64)vma->vm_pgoff << PAGE_SHIFT;

#ifdef HAVE_VFIO_PCI_VMA_LIST
	/* The core has put the page's number there. */
	struct pci_dev *pdev = mdev->core.pdev;

	for (*bar = 0; *bar < PCI_STD_NUM_BARS; (*bar)++) {
		u64 start = pci_resource_start(pdev, *bar);

		if (start && place >= start && place - start < pci_resource_len(pdev, *bar))
			return place - start;
	}
	return 0;
#else
	*bar = VFIO_PCI_OFFSET_TO_INDEX(place);
	return place & VFIO_PCI_OFFSET_MASK;
#endif
}

/* Whether pages at an address can be filled in now. map_lock must be held until they are. */
static bool mediant_passes_now(struct mediant_device *mdev, struct vm_area_struct *vma,
			       unsigned long address, u64 size)
{
	unsigned int bar;
	u64 offset = mediant_place(mdev, vma, &bar);

	return bar < PCI_STD_NUM_BARS &&
	       mediant_mappable(mdev, bar, offset + (address - vma->vm_start), size);
}

#ifdef HAVE_VFIO_PCI_VMA_LIST

/*
 * Kernels before 6.10: the core fills a mapping whole, at its first fault, and keeps a list of
 * those that are filled.
 */
struct mediant_mapping {
	struct list_head link;
	struct vm_area_struct *vma;
};

static struct mediant_mapping *mediant_find(struct mediant_device *mdev, struct vm_area_struct *vma)
{
	struct mediant_mapping *each;

	list_for_each_entry(each, &mdev->mappings, link)
		if (each->vma == vma)
			return each;
	return NULL;
}

static void mediant_remove_mapping(struct mediant_mapping *which)
{
	list_del(&which->link);
	kfree(which);
}

static bool mediant_add_mapping(struct mediant_device *mdev, struct vm_area_struct *vma, gfp_t more)
{
	struct mediant_mapping *fresh;

	if (mediant_find(mdev, vma))
		return true;
	fresh = kmalloc(sizeof(*fresh), GFP_KERNEL_ACCOUNT | more);
	if (!fresh)
		return false;
	fresh->vma = vma;
	list_add(&fresh->link, &mdev->mappings);
	return true;
}

/* A fork copies pages to the mapping, and mremap moves them there, without a fault of its own. */
static void mediant_vm_open(struct vm_area_struct *vma)
{
	struct mediant_device *mdev = mediant_of_core(vma->vm_private_data);

	mdev->core_vm_ops->open(vma);
	down_write(&mdev->map_lock);
	mediant_add_mapping(mdev, vma, __GFP_NOFAIL);
	up_write(&mdev->map_lock);
}

static void mediant_vm_close(struct vm_area_struct *vma)
{
	struct mediant_device *mdev = mediant_of_core(vma->vm_private_data);
	struct mediant_mapping *which;

	down_write(&mdev->map_lock);
	which = mediant_find(mdev, vma);
	if (which)
		mediant_remove_mapping(which);
	up_write(&mdev->map_lock);
	mdev->core_vm_ops->close(vma);
}

static vm_fault_t mediant_vm_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct mediant_device *mdev = mediant_of_core(vma->vm_private_data);
	vm_fault_t ret = VM_FAULT_SIGBUS;

	down_write(&mdev->map_lock);
	if (mediant_passes_now(mdev, vma, vma->vm_start, vma->vm_end - vma->vm_start))
		ret = mediant_add_mapping(mdev, vma, 0) ? mdev->core_vm_ops->fault(vmf) :
							  VM_FAULT_OOM;
	up_write(&mdev->map_lock);
	return ret;
}

static const struct vm_operations_struct mediant_vm_ops = {
	.open = mediant_vm_open,
	.close = mediant_vm_close,
	.fault = mediant_vm_fault,
};

/* A mapping may be cut while this looks, and still lies within the dynamic pages that it was of. */
static bool mediant_lies_in(struct mediant_device *mdev, struct vm_area_struct *vma,
			    unsigned int bar, u64 offset, u64 size)
{
	unsigned int its;
	u64 place = mediant_place(mdev, vma, &its);
	u64 end = place + (vma->vm_end - vma->vm_start);

	return its == bar && place < offset + size && offset < end;
}

/* A process that has such mappings, held; those of one that is ending are forgotten. */
static struct mm_struct *mediant_who_maps(struct mediant_device *mdev, unsigned int bar, u64 offset,
					  u64 size)
{
	struct mediant_mapping *each, *next;
	struct mm_struct *mm = NULL;

	down_write(&mdev->map_lock);
	list_for_each_entry_safe(each, next, &mdev->mappings, link) {
		if (!mediant_lies_in(mdev, each->vma, bar, offset, size))
			continue;
		if (mmget_not_zero(each->vma->vm_mm)) {
			mm = each->vma->vm_mm;
			break;
		}
		mediant_remove_mapping(each);
	}
	up_write(&mdev->map_lock);
	return mm;
}

/*
 * As the core's own, of which the order of locks makes two steps. The mmap lock is taken for
 * writing: munmap frees page tables while it holds it for reading, and closes mappings only then.
 * The process may end meanwhile, and its memory is then not for this one to take apart, with the
 * policy lock held.
 */
static void mediant_zap(struct mediant_device *mdev, unsigned int bar, u64 offset, u64 size)
{
	struct mm_struct *mm;

	while ((mm = mediant_who_maps(mdev, bar, offset, size))) {
		struct mediant_mapping *each, *next;

		mmap_write_lock(mm);
		down_write(&mdev->map_lock);
		list_for_each_entry_safe(each, next, &mdev->mappings, link) {
			struct vm_area_struct *vma = each->vma;

			if (vma->vm_mm != mm || !mediant_lies_in(mdev, vma, bar, offset, size))
				continue;
			zap_vma_ptes(vma, vma->vm_start, vma->vm_end - vma->vm_start);
			/* Off the core's list: the next fault fills it again. */
			mdev->core_vm_ops->close(vma);
			mediant_remove_mapping(each);
		}
		up_write(&mdev->map_lock);
		mmap_write_unlock(mm);
		mmput_async(mm);
	}
}

#else

static vm_fault_t mediant_fault(struct vm_fault *vmf, unsigned int order)
{
	struct vm_area_struct *vma = vmf->vma;
	struct mediant_device *mdev = mediant_of_core(vma->vm_private_data);
	vm_fault_t ret = order ? VM_FAULT_FALLBACK : VM_FAULT_SIGBUS;
#ifdef MEDIANT_FAULT_FILLS_ALL
	unsigned long size = vma->vm_end - vma->vm_start;
	unsigned long address = vma->vm_start;

	if (order)
		return ret;
#else
	unsigned long size = PAGE_SIZE << order;
	unsigned long address = vmf->address & ~(size - 1);

	if (address < vma->vm_start || size > vma->vm_end - address)
		return ret;
#endif

	down_read(&mdev->map_lock);
	if (mediant_passes_now(mdev, vma, address, size)) {
#ifdef CONFIG_ARCH_SUPPORTS_HUGE_PFNMAP
		if (order)
			ret = mdev->core_vm_ops->huge_fault(vmf, order);
		else
#endif
			ret = mdev->core_vm_ops->fault(vmf);
	}
	up_read(&mdev->map_lock);
	return ret;
}

static vm_fault_t mediant_vm_fault(struct vm_fault *vmf)
{
	return mediant_fault(vmf, 0);
}

static const struct vm_operations_struct mediant_vm_ops = {
	.fault = mediant_vm_fault,
#ifdef CONFIG_ARCH_SUPPORTS_HUGE_PFNMAP
	.huge_fault = mediant_fault,
#endif
};

static void mediant_zap(struct mediant_device *mdev, unsigned int bar, u64 offset, u64 size)
{
	/* Faults that were answered before next_area changed are done then. */
	down_write(&mdev->map_lock);
	unmap_mapping_range(mdev->core.vdev.inode->i_mapping,
			    VFIO_PCI_INDEX_TO_OFFSET(bar) + offset, size, true);
	up_write(&mdev->map_lock);
}

#endif /* HAVE_VFIO_PCI_VMA_LIST */

/* What can be mapped now. Dynamic pages get operations of their own above the core's. */
int mediant_mmap_dynamic(struct mediant_device *mdev, struct vm_area_struct *vma,
			 unsigned int bar, u64 offset)
{
	u64 size = vma->vm_end - vma->vm_start, alike = size;
	bool dynamic = mediant_is_dynamic(mdev, bar, offset, &alike);
	int ret;

#ifdef MEDIANT_FAULT_FILLS_ALL
	if (alike < size)
		return -EINVAL;
#endif
	ret = vfio_pci_core_mmap(&mdev->core.vdev, vma);
	if (ret || (!dynamic && alike == size))
		return ret;
	/* The same at each mapping. */
	WRITE_ONCE(mdev->core_vm_ops, vma->vm_ops);
	vma->vm_ops = &mediant_vm_ops;
	return 0;
}

/* The policy lock is held; next_area does not name the pages any more. */
int mediant_below_revoke(void *device, unsigned int region, unsigned long long offset,
			 unsigned long long size)
{
	u64 first = round_down(offset, PAGE_SIZE);

	if (region >= PCI_STD_NUM_BARS)
		return -EINVAL;
	/* Pages may be larger than those of the range. */
	mediant_zap(device, region, first, round_up(offset + size, PAGE_SIZE) - first);
	return 0;
}

/* Likewise. */
void mediant_below_regions_changed(void *device)
{
	struct mediant_device *mdev = device;

	mediant_signal(mdev->changed);
}

static void mediant_exchange_changed(struct mediant_device *mdev, struct eventfd_ctx *fresh)
{
	struct eventfd_ctx *old;

	mediant_lock(mdev);
	old = mdev->changed;
	mdev->changed = fresh;
	mediant_unlock(mdev);
	if (old)
		eventfd_ctx_put(old);
}

void mediant_forget_changed(struct mediant_device *mdev)
{
	mediant_exchange_changed(mdev, NULL);
}

/* Of the interrupt that tells of changed areas; 1 where another is asked of. */
long mediant_changed_info(struct vfio_irq_info __user *arg)
{
	unsigned long minsz = offsetofend(struct vfio_irq_info, count);
	struct vfio_irq_info info;

	if (copy_from_user(&info, arg, minsz))
		return -EFAULT;
	if (info.index != MEDIANT_CHANGED_IRQ)
		return 1;
	if (info.argsz < minsz)
		return -EINVAL;
	info.flags = VFIO_IRQ_INFO_EVENTFD;
	info.count = 1;
	return copy_to_user(arg, &info, minsz) ? -EFAULT : 0;
}

/* As the core has it for REQ; likewise. */
long mediant_set_changed(struct mediant_device *mdev, struct vfio_irq_set __user *arg)
{
	unsigned long minsz = offsetofend(struct vfio_irq_set, count);
	struct vfio_irq_set set;
	size_t size = 0;
	bool signals = true;
	long ret;

	if (copy_from_user(&set, arg, minsz))
		return -EFAULT;
	if (set.index != MEDIANT_CHANGED_IRQ)
		return 1;
	ret = vfio_set_irqs_validate_and_prepare(&set, 1, MEDIANT_CHANGED_IRQ + 1, &size);
	if (ret)
		return ret;
	if ((set.flags & VFIO_IRQ_SET_ACTION_TYPE_MASK) != VFIO_IRQ_SET_ACTION_TRIGGER)
		return -ENOTTY;

	if (set.flags & VFIO_IRQ_SET_DATA_EVENTFD) {
		struct eventfd_ctx *fresh = NULL;
		s32 fd;

		if (size != sizeof(fd))
			return -EINVAL;
		if (copy_from_user(&fd, arg->data, sizeof(fd)))
			return -EFAULT;
		if (fd >= 0) {
			fresh = eventfd_ctx_fdget(fd);
			if (IS_ERR(fresh))
				return PTR_ERR(fresh);
		}
		mediant_exchange_changed(mdev, fresh);
		return 0;
	}
	if (!set.count) {
		if (!(set.flags & VFIO_IRQ_SET_DATA_NONE))
			return -EINVAL;
		mediant_forget_changed(mdev);
		return 0;
	}
	if (set.flags & VFIO_IRQ_SET_DATA_BOOL) {
		u8 value;

		if (copy_from_user(&value, arg->data, sizeof(value)))
			return -EFAULT;
		signals = value;
	}
	if (signals) {
		mediant_lock(mdev);
		if (mdev->changed)
			mediant_signal(mdev->changed);
		else
			ret = -EINVAL;
		mediant_unlock(mdev);
	}
	return ret;
}
