// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Interrupts that a policy raises, by MSI or MSI-X. The core keeps the user's eventfds to itself,
 * so that references of this driver's own are taken to those that the core has accepted. The
 * request is read from user memory once more for that, and nothing depends on both readings
 * agreeing: who writes to it meanwhile may miss interrupts, or have them where they went before.
 *
 * A policy cannot raise INTx. That line is masked by each interrupt of the hardware and opened
 * again by the user, which KVM does by an eventfd between itself and the core: a policy's interrupt
 * could neither wait for that nor mask the line.
 *
 * As in the core, eventfds stay through resets.
 */
#include <linux/err.h>
#include <linux/eventfd.h>
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "device.h"

/* The eventfds of an index from its first vector on; or of a request, from its first one on. */
struct mediant_irqs {
	unsigned int index;
	unsigned int count;
	struct eventfd_ctx *vectors[]; /* NULL where there is none */
};

void mediant_signal(struct eventfd_ctx *to)
{
	if (!to)
		return;
#ifdef HAVE_EVENTFD_SIGNAL_ONE
	eventfd_signal(to);
#else
	eventfd_signal(to, 1);
#endif
}

static struct mediant_irqs *mediant_new_irqs(unsigned int index, unsigned int count)
{
	struct mediant_irqs *irqs;

	irqs = kvzalloc(struct_size(irqs, vectors, count), GFP_KERNEL_ACCOUNT);
	if (!irqs)
		return NULL;
	irqs->index = index;
	irqs->count = count;
	return irqs;
}

static void mediant_drop_irqs(struct mediant_irqs *irqs)
{
	unsigned int i;

	if (!irqs)
		return;
	for (i = 0; i < irqs->count; i++)
		if (irqs->vectors[i])
			eventfd_ctx_put(irqs->vectors[i]);
	kvfree(irqs);
}

/* Nobody sets interrupts any more, and no policy raises them. */
void mediant_forget_irqs(struct mediant_device *mdev)
{
	mediant_drop_irqs(mdev->irqs);
	mdev->irqs = NULL;
}

/* Those of a request. What is no eventfd is left out: the core says so to the user. */
static struct mediant_irqs *mediant_asked_irqs(const struct vfio_irq_set *set,
					       const s32 __user *fds)
{
	struct mediant_irqs *asked = mediant_new_irqs(set->index, set->count);
	unsigned int i;

	if (!asked)
		return ERR_PTR(-ENOMEM);
	for (i = 0; i < asked->count; i++) {
		struct eventfd_ctx *eventfd;
		s32 fd;

		if (get_user(fd, &fds[i])) {
			mediant_drop_irqs(asked);
			return ERR_PTR(-EFAULT);
		}
		if (fd < 0)
			continue;
		eventfd = eventfd_ctx_fdget(fd);
		if (!IS_ERR(eventfd))
			asked->vectors[i] = eventfd;
	}
	return asked;
}

/* Whether a vector has an eventfd in the core after a request that failed. igate must be held. */
static bool mediant_core_has_vector(struct vfio_pci_core_device *core,
				    const struct vfio_irq_set *set, unsigned int vector)
{
	if (core->irq_type != set->index)
		return false;
#ifdef HAVE_VFIO_PCI_CTX_XARRAY
	return xa_load(&core->ctx, vector);
#else
	/* A range that goes beyond the vectors is refused at once, any other one is emptied. */
	return set->start + set->count > core->num_ctx;
#endif
}

/* The core may have begun before it failed. The policy lock must be held. */
static void mediant_settle_irqs(struct mediant_device *mdev, const struct vfio_irq_set *set)
{
	struct vfio_pci_core_device *core = &mdev->core;
	struct mediant_irqs *irqs = mdev->irqs;
	unsigned int vector;

	if (!irqs || irqs->index != set->index)
		return;
	mutex_lock(&core->igate);
	for (vector = set->start; vector < set->start + set->count; vector++) {
		if (!irqs->vectors[vector] || mediant_core_has_vector(core, set, vector))
			continue;
		eventfd_ctx_put(irqs->vectors[vector]);
		irqs->vectors[vector] = NULL;
	}
	mutex_unlock(&core->igate);
}

/* irqs_lock must be held. */
static long mediant_set_eventfds(struct mediant_device *mdev, const struct vfio_irq_set *set,
				 struct vfio_irq_set __user *arg)
{
	struct mediant_irqs *asked, *fresh = NULL;
	unsigned int i;
	long ret;

	asked = mediant_asked_irqs(set, (const s32 __user *)arg->data);
	if (IS_ERR(asked))
		return PTR_ERR(asked);
	if (!mdev->irqs || mdev->irqs->index != set->index) {
		fresh = mediant_new_irqs(set->index, mediant_irq_count(mdev, set->index));
		if (!fresh) {
			mediant_drop_irqs(asked);
			return -ENOMEM;
		}
	}

	ret = vfio_pci_core_ioctl(&mdev->core.vdev, VFIO_DEVICE_SET_IRQS, (unsigned long)arg);

	mediant_lock(mdev);
	if (ret) {
		mediant_settle_irqs(mdev, set);
	} else {
		if (fresh)
			swap(mdev->irqs, fresh);
		for (i = 0; i < asked->count; i++)
			swap(mdev->irqs->vectors[set->start + i], asked->vectors[i]);
	}
	mediant_unlock(mdev);
	/* What was there before. */
	mediant_drop_irqs(fresh);
	mediant_drop_irqs(asked);
	return ret;
}

/* Likewise: all vectors of an index, and so all that there are. */
static long mediant_disable_irqs(struct mediant_device *mdev, struct vfio_irq_set __user *arg)
{
	struct mediant_irqs *old = NULL;
	long ret;

	ret = vfio_pci_core_ioctl(&mdev->core.vdev, VFIO_DEVICE_SET_IRQS, (unsigned long)arg);
	if (ret)
		return ret;
	mediant_lock(mdev);
	swap(mdev->irqs, old);
	mediant_unlock(mdev);
	mediant_drop_irqs(old);
	return 0;
}

/* Requests that set or take away eventfds of MSI or MSI-X are followed; others are the core's. */
long mediant_ioctl_set_irqs(struct mediant_device *mdev, struct vfio_irq_set __user *arg)
{
	unsigned long minsz = offsetofend(struct vfio_irq_set, count);
	struct vfio_irq_set set;
	size_t size = 0;
	long ret;

	if (copy_from_user(&set, arg, minsz))
		return -EFAULT;
	if ((set.index != VFIO_PCI_MSI_IRQ_INDEX && set.index != VFIO_PCI_MSIX_IRQ_INDEX) ||
	    (set.flags & VFIO_IRQ_SET_ACTION_TYPE_MASK) != VFIO_IRQ_SET_ACTION_TRIGGER ||
	    (set.count && !(set.flags & VFIO_IRQ_SET_DATA_EVENTFD)) ||
	    vfio_set_irqs_validate_and_prepare(&set, mediant_irq_count(mdev, set.index),
					       VFIO_PCI_NUM_IRQS, &size))
		return vfio_pci_core_ioctl(&mdev->core.vdev, VFIO_DEVICE_SET_IRQS,
					   (unsigned long)arg);

	/* In the core's order. Another one may be waiting for its user's memory. */
	if (mutex_lock_killable(&mdev->irqs_lock))
		return -EINTR;
	if (set.flags & VFIO_IRQ_SET_DATA_EVENTFD)
		ret = mediant_set_eventfds(mdev, &set, arg);
	else
		ret = mediant_disable_irqs(mdev, arg);
	mutex_unlock(&mdev->irqs_lock);
	return ret;
}

/* The policy lock is held. */
int mediant_below_trigger(void *device, unsigned int index, unsigned int vector)
{
	struct mediant_device *mdev = device;
	const struct mediant_irqs *irqs = mdev->irqs;
	unsigned int count;

	if (index >= VFIO_PCI_NUM_IRQS)
		return -EINVAL;
	if (index != VFIO_PCI_MSI_IRQ_INDEX && index != VFIO_PCI_MSIX_IRQ_INDEX)
		return -EOPNOTSUPP;
	count = mediant_irq_count(mdev, index);
	if (vector >= count)
		return -EINVAL;
	mdev->counters.interrupts++;
	/* Without an eventfd it comes to nothing, as that of a device. */
	if (irqs && irqs->index == index)
		mediant_signal(irqs->vectors[array_index_nospec(vector, count)]);
	return 0;
}
