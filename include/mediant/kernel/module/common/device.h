/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * A driver on vfio_pci_core of which a policy mediates accesses and requests: a variant, which
 * holds its providers, or the host, which finds them in modules of their own.
 *
 *	driver.c	module, probe and the tables of operations
 *	providers.c	where the providers come from; all that differs between variant and host
 *	open.c		choice of the provider, open and close
 *	access.c	read and write: what is trapped, what passes
 *	config.c	the same for configuration space
 *	below.c		what a policy passes to: the device's BARs
 *	below_config.c	and its configuration space, as VFIO shows it
 *	regions.c	region info, mmap, dma-buf, ioeventfd
 *	dynamic.c	mappings of what is trapped and passed while the device is open
 *	requests.c	the other requests: device info, interrupts, reset
 *	irqs.c		interrupts that a policy raises
 *	migration.c	the states of a device that migrates, and the stream of its state
 *	log.c		the log of what the device writes to memory
 *	observe.c	events and debugfs
 *	reset.c		the policy lock, and resets that arrive while it is held
 *
 * Lock order: observe_lock or irqs_lock, policy lock, mmap_lock, map_lock, memory_lock; the core's
 * igate lies between the policy lock and memory_lock, and the core holds it without the others. No
 * path of mmap, fault or reset waits for the first three. User memory is only touched outside the
 * policy lock; it may be under observe_lock or irqs_lock, for which others therefore wait so that
 * they can be killed.
 *
 * A policy object is kernel code and is trusted to do what mediant/kernel/abi.h says.
 */
#ifndef MEDIANT_DEVICE_H
#define MEDIANT_DEVICE_H

#ifndef HAVE_VFIO_ALLOC_DEVICE
#error "this module needs Linux 6.1 or newer: include/linux/vfio.h has no vfio_alloc_device"
#endif

#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/vfio_pci_core.h>
#include <linux/log2.h>

#include <mediant/kernel/abi.h>

/* How often the policy was called, and what it did, since open; under the policy lock. */
struct mediant_counters {
	u64 reads;
	u64 writes;
	u64 loads;
	u64 stores;
	u64 interrupts;
	u64 resets;
};

/*
 * Where a region needs the provider, so that what passes is found to do so without a question. The
 * region lies in at most 1024 parts of 4 KiB or more, a part in 1024 granules of 4 bytes or more. A
 * granule's bit is set where the provider has to be asked, or where the region has ended.
 */
#define MEDIANT_PART_SHIFT 12
#define MEDIANT_MOST_PARTS 1024
#define MEDIANT_GRANULES 1024

struct mediant_outline {
	unsigned int shift; /* of a part */
	unsigned int count; /* of parts */
	u8 part[MEDIANT_MOST_PARTS]; /* which set of granules */
	/* The first set is all clear, the second all set. */
	unsigned long granules[][BITS_TO_LONGS(MEDIANT_GRANULES)];
};

/* A region as the user sees it. */
struct mediant_region {
	struct mediant_outline *outline; /* NULL where it is not mediated */
	u64 size; /* bytes that can be reached */
	bool mediated; /* by a trap, or since the user sees less or more of it than there is */
	bool mappable; /* its parts that hold no trap */
};

/* The regions of which a policy can say anything, if only that the user sees less of them. */
#define MEDIANT_REGIONS VFIO_PCI_NUM_REGIONS
/* Of these, those that have an outline where they are mediated: the BARs and the ROM. */
#define MEDIANT_OUTLINED (VFIO_PCI_ROM_REGION_INDEX + 1)

struct mediant_irqs;
struct mediant_stream;
struct mediant_log;

struct mediant_device {
	struct vfio_pci_core_device core; /* first: the driver data is a vfio_pci_core_device */
	struct mediant_below below;

	/* Constant while the device is open; provider is NULL where nothing is mediated. */
	const struct mediant_provider *provider;
	struct module *owner; /* the provider's, held meanwhile; NULL if it is this module */
	u8 msi_cap, msix_cap; /* the device's, where the user may see none */
	u16 msi_count, msix_count; /* vectors that these have */
	struct mediant_region regions[MEDIANT_REGIONS];
	bool map_trapped; /* whether a BAR's pages can be mapped that hold no trap beside others */

	struct mutex observe_lock; /* one observed write of configuration space at a time */
	struct mutex irqs_lock; /* one change of the interrupts' eventfds at a time */
	struct mutex lock; /* the policy lock: one call into state at a time */
	void *state; /* NULL while there is no policy; under lock */
	void __iomem *io[PCI_STD_NUM_BARS]; /* what the policy has reached; under lock */
	struct mediant_counters counters;
	/* MSI's or MSI-X's, or NULL; changed under irqs_lock and lock */
	struct mediant_irqs *irqs;
	struct mediant_log *log; /* or NULL; under lock */
	u64 log_page; /* that the policy says it reports, 0 while it is not asked to; under lock */
	const struct mediant_stream *stream; /* whose file is good now, or NULL; under lock */
	struct dentry *debugfs;

	/* Of a provider with dynamic ranges. */
	struct rw_semaphore map_lock; /* held by faults, from the question to the answer's end */
	const struct vm_operations_struct *core_vm_ops; /* beneath those of dynamic pages */
#ifdef HAVE_VFIO_PCI_VMA_LIST
	struct list_head mappings; /* of dynamic pages that may be filled in; under map_lock */
#endif
	struct eventfd_ctx *changed; /* tells the user that areas are others; under lock */

	spinlock_t reset_lock; /* guards reset_pending and the release of lock */
	bool reset_pending;
	bool frozen; /* an error was seen for which the link is reset; under the device lock */
};

/* Whether the provider mediates what MEDIANT_CONFIG and its like name. */
static inline bool mediant_asks(struct mediant_device *mdev, unsigned int what)
{
	return mdev->provider && mdev->provider->mediates & what;
}

/* As the core shows it: where memory for it is assigned, or firmware left a copy. */
static inline u64 mediant_rom_size(struct pci_dev *pdev)
{
	if (pci_resource_start(pdev, PCI_ROM_RESOURCE))
		return pci_resource_len(pdev, PCI_ROM_RESOURCE);
#ifdef HAVE_PASID_ATTACH_IOAS
	/* Shown since 6.14, of which no header tells; this is 6.15's. */
	if (pdev->rom && pdev->romlen)
		return roundup_pow_of_two(pdev->romlen);
#endif
	return 0;
}

/* Bytes of a BAR that can be reached: none without an address, to which the core says EINVAL. */
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

/* providers.c */

/* A search for a device's providers, in the order in which they are asked. */
struct mediant_search {
	struct pci_dev *pdev;
	struct mediant_device_id id;
	const struct mediant_provider *provider; /* who is asked now */
	struct module *owner; /* held for the caller, who puts it; NULL if it is this module */

	/* What follows is for providers.c. */
	unsigned int rank; /* place in the order */
	u64 number;
	unsigned int found; /* providers that there were so far */
	unsigned int requests;
	bool leaving;
};

extern const struct pci_device_id mediant_ids[];
extern const struct attribute_group *mediant_groups[]; /* of the driver */
int mediant_init_providers(void);
/* Whether probe may take a device: a driver_override binds anything. */
bool mediant_serves(struct pci_dev *pdev);
void mediant_search_begin(struct mediant_search *search, struct pci_dev *pdev);
bool mediant_search_next(struct mediant_search *search);
/* Lets go of what a search has given. */
void mediant_put_provider(const struct mediant_provider *provider, struct module *owner);
/* No provider took the device: 0 if it is to be opened without one, or -ENODEV. */
int mediant_search_failed(struct mediant_search *search);

/* driver.c */
extern bool mediant_pass_through;
extern bool mediant_mmap_trapped_bars;

/* open.c */
struct mediant_device_id mediant_id_of(struct pci_dev *pdev);
int mediant_open_device(struct vfio_device *core_vdev);
void mediant_close_device(struct vfio_device *core_vdev);

/* access.c */
size_t mediant_whole(u64 offset, size_t copied, size_t count);
void mediant_trace_bytes(struct mediant_device *mdev, unsigned int region, u64 offset, size_t count,
			 bool write, const u8 *bytes, ssize_t result);
ssize_t mediant_passed(struct mediant_device *mdev, loff_t pos, char __user *buf, size_t count,
		       bool write);
ssize_t mediant_read(struct vfio_device *core_vdev, char __user *buf, size_t count, loff_t *ppos);
ssize_t mediant_write(struct vfio_device *core_vdev, const char __user *buf, size_t count,
		      loff_t *ppos);

/* config.c */
ssize_t mediant_config_rw(struct mediant_device *mdev, char __user *buf, size_t count, loff_t *ppos,
			  bool write);

/* below.c */
void mediant_init_below(struct mediant_device *mdev);
void mediant_map_all_bars(struct vfio_pci_core_device *core);
int mediant_map_bars(struct mediant_device *mdev);
void mediant_forget_bars(struct mediant_device *mdev);

/* below_config.c */
int mediant_load_config(struct vfio_pci_core_device *core, u64 offset, unsigned int width,
			u64 *value);
int mediant_store_config(struct vfio_pci_core_device *core, u64 offset, unsigned int width,
			 u64 value);
bool mediant_stores_config(struct vfio_pci_core_device *core, u64 offset, size_t count);
int mediant_load_written(struct vfio_pci_core_device *core, u64 offset, size_t count, u8 *bytes);

/* regions.c */
struct mediant_area {
	u64 offset;
	u64 size;
};

int mediant_find_regions(struct mediant_device *mdev);
void mediant_forget_regions(struct mediant_device *mdev);
bool mediant_next_area(struct mediant_device *mdev, unsigned int bar, u64 from,
		       struct mediant_area *area);
bool mediant_mediates(struct mediant_device *mdev, unsigned int index);
int mediant_below_region_info(void *device, unsigned int region, unsigned long long *size,
			      unsigned int *flags);
long mediant_ioctl_region_info(struct mediant_device *mdev, struct vfio_region_info __user *arg);
int mediant_mmap(struct vfio_device *core_vdev, struct vm_area_struct *vma);
#ifdef HAVE_GET_REGION_INFO_CAPS
int mediant_get_region_info_caps(struct vfio_device *core_vdev, struct vfio_region_info *info,
				 struct vfio_info_cap *caps);
#endif
#ifdef HAVE_GET_DMABUF_PHYS
extern const struct vfio_pci_device_ops mediant_pci_ops;
#endif

bool mediant_mappable(struct mediant_device *mdev, unsigned int bar, u64 offset, u64 size);

/* dynamic.c */

/*
 * A fault of one page may fill in the whole mapping, until 6.12, where a huge page is asked for
 * instead. What is mapped is dynamic as a whole there, or not at all.
 */
#if defined(HAVE_VFIO_PCI_VMA_LIST) || !defined(HAVE_FOLLOW_PFNMAP)
#define MEDIANT_FAULT_FILLS_ALL
#endif

/* What is told when areas have changed: an interrupt behind those of every vfio-pci device. */
#define MEDIANT_CHANGED_IRQ VFIO_PCI_NUM_IRQS

void mediant_init_dynamic(struct mediant_device *mdev);
void mediant_forget_changed(struct mediant_device *mdev);
bool mediant_is_dynamic(struct mediant_device *mdev, unsigned int bar, u64 offset, u64 *size);
bool mediant_any_dynamic(struct mediant_device *mdev, unsigned int bar, u64 offset, u64 size);
int mediant_mmap_dynamic(struct mediant_device *mdev, struct vm_area_struct *vma,
			 unsigned int bar, u64 offset);
int mediant_below_revoke(void *device, unsigned int region, unsigned long long offset,
			 unsigned long long size);
void mediant_below_regions_changed(void *device);
long mediant_changed_info(struct vfio_irq_info __user *arg);
long mediant_set_changed(struct mediant_device *mdev, struct vfio_irq_set __user *arg);

/* requests.c */
void mediant_hide_irqs(struct mediant_device *mdev);
void mediant_show_irqs(struct mediant_device *mdev);
unsigned int mediant_irq_count(struct mediant_device *mdev, unsigned int index);
int mediant_below_device_info(void *device, unsigned int *regions, unsigned int *irqs,
			      unsigned int *can_reset);
int mediant_below_irq_info(void *device, unsigned int index, unsigned int *flags,
			   unsigned int *count);
int mediant_below_reset(void *device);
long mediant_ioctl(struct vfio_device *core_vdev, unsigned int cmd, unsigned long arg);

/* irqs.c */
void mediant_signal(struct eventfd_ctx *to);
void mediant_forget_irqs(struct mediant_device *mdev);
long mediant_ioctl_set_irqs(struct mediant_device *mdev, struct vfio_irq_set __user *arg);
int mediant_below_trigger(void *device, unsigned int index, unsigned int vector);

/* migration.c */
void mediant_offer_migration(struct mediant_device *mdev);
void mediant_end_migration(struct mediant_device *mdev);

/* log.c */
int mediant_below_start_log(void *device, unsigned long long page,
			    const struct mediant_range *ranges, unsigned int count,
			    unsigned long long *tracked);
int mediant_below_stop_log(void *device);
int mediant_below_report_log(void *device, unsigned long long iova, unsigned long long length,
			     unsigned long long page, unsigned long long *bits, unsigned int words,
			     unsigned int forgets);
void mediant_below_dirty(void *device, unsigned long long iova, unsigned long long size);
void mediant_offer_log(struct mediant_device *mdev);
void mediant_forget_log(struct mediant_device *mdev);

/* observe.c */
void mediant_init_observe(void);
void mediant_exit_observe(void);
void mediant_observe(struct mediant_device *mdev);
void mediant_unobserve(struct mediant_device *mdev);

/* reset.c */
void mediant_lock(struct mediant_device *mdev);
void mediant_unlock(struct mediant_device *mdev);
void mediant_note_reset(struct mediant_device *mdev);
void mediant_reset_done(struct pci_dev *pdev);
pci_ers_result_t mediant_error_detected(struct pci_dev *pdev, pci_channel_state_t state);
pci_ers_result_t mediant_slot_reset(struct pci_dev *pdev);
void mediant_resume(struct pci_dev *pdev);

#endif /* MEDIANT_DEVICE_H */
