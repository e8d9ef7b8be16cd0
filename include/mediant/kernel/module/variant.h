/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * A vfio-pci variant driver whose accesses to BARs are mediated by a policy object.
 *
 *	variant.c	module, probe and the tables of operations
 *	open.c		choice of the provider, open and close
 *	access.c	read and write: what is trapped, what passes
 *	below.c		what a policy passes to: the device's BARs
 *	regions.c	region info, mmap, dma-buf, ioeventfd
 *	reset.c		the policy lock, and resets that arrive while it is held
 *
 * Lock order: policy lock, mmap_lock, memory_lock. No path of mmap, fault or reset waits for the
 * policy lock, and user memory is only touched outside it.
 *
 * The policy object is a part of this module and is trusted to do what mediant/kernel/abi.h says.
 */
#ifndef MEDIANT_VARIANT_H
#define MEDIANT_VARIANT_H

#ifndef HAVE_VFIO_ALLOC_DEVICE
#error "this module needs Linux 6.1 or newer: include/linux/vfio.h has no vfio_alloc_device"
#endif

#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/spinlock.h>
#include <linux/vfio_pci_core.h>

#include <mediant/kernel/abi.h>

struct mediant_device {
	struct vfio_pci_core_device core; /* first: the driver data is a vfio_pci_core_device */
	struct mediant_below below;

	/* Constant while the device is open; provider is NULL where nothing is mediated. */
	const struct mediant_provider *provider;
	bool traps[PCI_STD_NUM_BARS]; /* BARs that hold a trap */
	bool map_trapped; /* whether such a BAR's other pages can be mapped */
	void __iomem *io[PCI_STD_NUM_BARS];

	struct mutex lock; /* the policy lock: one call into state at a time */
	void *state; /* NULL while there is no policy; under lock */

	spinlock_t reset_lock; /* guards reset_pending and the release of lock */
	bool reset_pending;
};

/* Bytes of a BAR that can be reached: none where it has no address, to which the core says EINVAL. */
static inline u64 mediant_bar_size(struct pci_dev *pdev, unsigned int bar)
{
	return pci_resource_start(pdev, bar) ? pci_resource_len(pdev, bar) : 0;
}

static inline struct mediant_device *mediant_of_core(struct vfio_pci_core_device *core)
{
	return container_of(core, struct mediant_device, core);
}

static inline struct mediant_device *mediant_of_vdev(struct vfio_device *core_vdev)
{
	return container_of(core_vdev, struct mediant_device, core.vdev);
}

/* open.c */
extern bool mediant_pass_through;
extern bool mediant_mmap_trapped_bars;
bool mediant_serves(struct pci_dev *pdev);
int mediant_open_device(struct vfio_device *core_vdev);
void mediant_close_device(struct vfio_device *core_vdev);

/* access.c */
ssize_t mediant_read(struct vfio_device *core_vdev, char __user *buf, size_t count, loff_t *ppos);
ssize_t mediant_write(struct vfio_device *core_vdev, const char __user *buf, size_t count,
		      loff_t *ppos);

/* below.c */
void mediant_init_below(struct mediant_device *mdev);
int mediant_map_bars(struct mediant_device *mdev);
void mediant_unmap_bars(struct mediant_device *mdev);

/* regions.c */
void mediant_find_traps(struct mediant_device *mdev);
bool mediant_traps(struct mediant_device *mdev, unsigned int index);
long mediant_ioctl(struct vfio_device *core_vdev, unsigned int cmd, unsigned long arg);
int mediant_mmap(struct vfio_device *core_vdev, struct vm_area_struct *vma);
#ifdef HAVE_GET_REGION_INFO_CAPS
int mediant_get_region_info_caps(struct vfio_device *core_vdev, struct vfio_region_info *info,
				 struct vfio_info_cap *caps);
#endif
#ifdef HAVE_GET_DMABUF_PHYS
extern const struct vfio_pci_device_ops mediant_pci_ops;
#endif

/* reset.c */
void mediant_lock(struct mediant_device *mdev);
void mediant_unlock(struct mediant_device *mdev);
void mediant_reset_done(struct pci_dev *pdev);

#endif /* MEDIANT_VARIANT_H */
