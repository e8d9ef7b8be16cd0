// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Requests of the device, of a policy that has a say in them. Sizes and indices are checked as the
 * core does, user memory is read once, and the policy is asked with what was read; what it does not
 * mediate is the core's. Region info is in regions.c.
 */
#include <linux/uaccess.h>

#include "device.h"

static unsigned int mediant_msi_count(struct pci_dev *pdev)
{
	u16 flags = 0;

	if (!pdev->msi_cap)
		return 0;
	pci_read_config_word(pdev, pdev->msi_cap + PCI_MSI_FLAGS, &flags);
	return 1 << ((flags & PCI_MSI_FLAGS_QMASK) >> 1);
}

static unsigned int mediant_msix_count(struct pci_dev *pdev)
{
	u16 flags = 0;

	if (!pdev->msix_cap)
		return 0;
	pci_read_config_word(pdev, pdev->msix_cap + PCI_MSIX_FLAGS, &flags);
	return (flags & PCI_MSIX_FLAGS_QSIZE) + 1;
}

/*
 * Interrupts of a capability that the user does not see are none of the device's, either, while it
 * is open: the core, which reads the user's argument again, asks the PCI device where the
 * capability lies, and refuses to set what it has none of. So it does not matter what becomes of
 * the index between two readings. The core asks after the table's place, which keeps accesses away
 * from it, before the policy is opened. Resets do without the capability, too: that of Chelsio's
 * T4, which would turn MSI-X on for as long as it lasts, writes to a read-only register instead.
 */
void mediant_hide_irqs(struct mediant_device *mdev)
{
	struct pci_dev *pdev = mdev->core.pdev;
	unsigned int hidden = mdev->provider->hidden_irqs;

	mdev->msi_cap = pdev->msi_cap;
	mdev->msix_cap = pdev->msix_cap;
	mdev->msi_count = mediant_msi_count(pdev);
	mdev->msix_count = mediant_msix_count(pdev);
	if (hidden & BIT(VFIO_PCI_MSI_IRQ_INDEX))
		pdev->msi_cap = 0;
	if (hidden & BIT(VFIO_PCI_MSIX_IRQ_INDEX))
		pdev->msix_cap = 0;
}

/* Nobody sets interrupts any more. */
void mediant_show_irqs(struct mediant_device *mdev)
{
	struct pci_dev *pdev = mdev->core.pdev;

	pdev->msi_cap = mdev->msi_cap;
	pdev->msix_cap = mdev->msix_cap;
}

int mediant_below_device_info(void *device, unsigned int *regions, unsigned int *irqs,
			      unsigned int *can_reset)
{
	struct mediant_device *mdev = device;

	*regions = VFIO_PCI_NUM_REGIONS + mdev->core.num_regions;
	*irqs = VFIO_PCI_NUM_IRQS + (mediant_asks(mdev, MEDIANT_DYNAMIC) ? 1 : 0);
	*can_reset = mdev->core.reset_works;
	return 0;
}

/* Vectors below the policy, whatever of them the user sees. */
unsigned int mediant_irq_count(struct mediant_device *mdev, unsigned int index)
{
	switch (index) {
	case VFIO_PCI_INTX_IRQ_INDEX:
		return mdev->core.vconfig[PCI_INTERRUPT_PIN] ? 1 : 0;
	case VFIO_PCI_MSI_IRQ_INDEX:
		return mdev->msi_count;
	case VFIO_PCI_MSIX_IRQ_INDEX:
		return mdev->msix_count;
	default:
		return 1;
	}
}

int mediant_below_irq_info(void *device, unsigned int index, unsigned int *flags,
			   unsigned int *count)
{
	struct mediant_device *mdev = device;
	struct vfio_pci_core_device *core = &mdev->core;

	if (index >= VFIO_PCI_NUM_IRQS)
		return -EINVAL;
	if (index == VFIO_PCI_ERR_IRQ_INDEX && !pci_is_pcie(core->pdev))
		return -EINVAL;
	*count = mediant_irq_count(mdev, index);
	*flags = VFIO_IRQ_INFO_EVENTFD;
	if (index == VFIO_PCI_INTX_IRQ_INDEX) {
		*flags |= VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED;
		return 0;
	}
#ifdef HAVE_DYN_MSIX
	if (index == VFIO_PCI_MSIX_IRQ_INDEX && core->has_dyn_msix)
		return 0;
#endif
	*flags |= VFIO_IRQ_INFO_NORESIZE;
	return 0;
}

/* The note that this leaves in reset_done() is taken up when the policy lock is let go. */
int mediant_below_reset(void *device)
{
	struct mediant_device *mdev = device;

	return vfio_pci_core_ioctl(&mdev->core.vdev, VFIO_DEVICE_RESET, 0);
}

/* The core's answer, of which some numbers are the policy's. */
static long mediant_ioctl_device_info(struct mediant_device *mdev,
				      struct vfio_device_info __user *arg)
{
	unsigned int regions = 0, irqs = 0, can_reset = 0;
	u32 flags;
	long ret;

	ret = vfio_pci_core_ioctl(&mdev->core.vdev, VFIO_DEVICE_GET_INFO, (unsigned long)arg);
	if (ret)
		return ret;

	if (!mediant_asks(mdev, MEDIANT_DEVICE_INFO))
		return put_user((u32)MEDIANT_CHANGED_IRQ + 1, &arg->num_irqs);

	mediant_lock(mdev);
	ret = mdev->provider->device_info(mdev->state, &regions, &irqs, &can_reset);
	mediant_unlock(mdev);
	if (ret)
		return ret;
	/* What the core has written there. */
	if (get_user(flags, &arg->flags))
		return -EFAULT;
	flags &= ~VFIO_DEVICE_FLAGS_RESET;
	if (can_reset)
		flags |= VFIO_DEVICE_FLAGS_RESET;
	if (put_user(flags, &arg->flags) || put_user(regions, &arg->num_regions) ||
	    put_user(irqs, &arg->num_irqs))
		return -EFAULT;
	return 0;
}

/* As the policy has it, of what was read once. */
static long mediant_ioctl_irq_info(struct mediant_device *mdev, struct vfio_irq_info __user *arg)
{
	unsigned long minsz = offsetofend(struct vfio_irq_info, count);
	unsigned int flags = 0, count = 0;
	struct vfio_irq_info info;
	long ret;

	if (copy_from_user(&info, arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz || info.index >= VFIO_PCI_NUM_IRQS)
		return -EINVAL;

	mediant_lock(mdev);
	ret = mdev->provider->irq_info(mdev->state, info.index, &flags, &count);
	mediant_unlock(mdev);
	/* Newer kernels have it for every device, and only the core knows whether this one does. */
	if (ret == -EINVAL && info.index == VFIO_PCI_ERR_IRQ_INDEX &&
	    !pci_is_pcie(mdev->core.pdev)) {
		ret = vfio_pci_core_ioctl(&mdev->core.vdev, VFIO_DEVICE_GET_IRQ_INFO,
					  (unsigned long)arg);
		flags = VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE;
		count = 1;
	}
	if (ret)
		return ret;
	info.flags = flags;
	info.count = count;
	return copy_to_user(arg, &info, minsz) ? -EFAULT : 0;
}

static long mediant_ioctl_reset(struct mediant_device *mdev)
{
	int ret;

	mediant_lock(mdev);
	ret = mdev->provider->reset_device(mdev->state);
	/* Also where the policy made do without the device's. */
	if (!ret)
		mediant_note_reset(mdev);
	mediant_unlock(mdev);
	return ret;
}

static bool mediant_mediates_any_bar(struct mediant_device *mdev)
{
	unsigned int bar;

	for (bar = 0; bar < PCI_STD_NUM_BARS; bar++)
		if (mediant_mediates(mdev, bar))
			return true;
	return false;
}

long mediant_ioctl(struct vfio_device *core_vdev, unsigned int cmd, unsigned long arg)
{
	struct mediant_device *mdev = mediant_of_vdev(core_vdev);
	long ret;

	switch (cmd) {
	case VFIO_DEVICE_GET_INFO:
		if (mediant_asks(mdev, MEDIANT_DEVICE_INFO | MEDIANT_DYNAMIC))
			return mediant_ioctl_device_info(mdev, (void __user *)arg);
		break;
#ifndef HAVE_GET_REGION_INFO_CAPS
	case VFIO_DEVICE_GET_REGION_INFO:
		return mediant_ioctl_region_info(mdev, (void __user *)arg);
#endif
	case VFIO_DEVICE_GET_IRQ_INFO:
		ret = 1;
		if (mediant_asks(mdev, MEDIANT_DYNAMIC))
			ret = mediant_changed_info((void __user *)arg);
		if (ret <= 0)
			return ret;
		if (mediant_asks(mdev, MEDIANT_IRQ_INFO))
			return mediant_ioctl_irq_info(mdev, (void __user *)arg);
		break;
	case VFIO_DEVICE_SET_IRQS:
		ret = 1;
		if (mediant_asks(mdev, MEDIANT_DYNAMIC))
			ret = mediant_set_changed(mdev, (void __user *)arg);
		if (ret <= 0)
			return ret;
		if (mdev->provider)
			return mediant_ioctl_set_irqs(mdev, (void __user *)arg);
		break;
	case VFIO_DEVICE_RESET:
		if (mediant_asks(mdev, MEDIANT_RESET_DEVICE))
			return mediant_ioctl_reset(mdev);
		break;
	case VFIO_DEVICE_IOEVENTFD:
		/*
		 * An ioeventfd writes to the device from the core and would go around a trap. The
		 * core reads the argument again, so that what is checked here need not be what is
		 * done there: while any BAR is mediated there is none for any BAR. The error is
		 * the core's own for an ioeventfd on the MSI-X table.
		 */
		if (mediant_mediates_any_bar(mdev))
			return -EINVAL;
		break;
	}
	return vfio_pci_core_ioctl(core_vdev, cmd, arg);
}
