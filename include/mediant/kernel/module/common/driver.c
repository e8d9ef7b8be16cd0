// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The driver and its tables of operations. The module's name and what it says of itself is in
 * module.h, which the generator writes.
 */
#include <linux/build_bug.h>
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/string.h>

#include "device.h"
#include "module.h"

bool mediant_pass_through;
module_param_named(pass_through, mediant_pass_through, bool, 0644);
MODULE_PARM_DESC(pass_through,
		 "Mediate nothing: devices opened from now on behave as under vfio-pci (default: off)");

bool mediant_mmap_trapped_bars = true;
module_param_named(mmap_trapped_bars, mediant_mmap_trapped_bars, bool, 0644);
MODULE_PARM_DESC(mmap_trapped_bars,
		 "Let users map those pages of a BAR with trapped registers that hold none, from the next open on (default: on)");

static bool mediant_enable_sriov;
module_param_named(enable_sriov, mediant_enable_sriov, bool, 0644);
MODULE_PARM_DESC(enable_sriov,
		 "Let VFs be created on devices bound to this driver, as vfio-pci's option of that name (default: off)");

static int mediant_init_dev(struct vfio_device *core_vdev)
{
	struct mediant_device *mdev = mediant_of_vdev(core_vdev);

	mutex_init(&mdev->observe_lock);
	mutex_init(&mdev->irqs_lock);
	mutex_init(&mdev->lock);
	spin_lock_init(&mdev->reset_lock);
	mediant_init_below(mdev);
	mediant_init_dynamic(mdev);
	return vfio_pci_core_init_dev(core_vdev);
}

static void mediant_release_dev(struct vfio_device *core_vdev)
{
	struct mediant_device *mdev = mediant_of_vdev(core_vdev);

	mutex_destroy(&mdev->lock);
	mutex_destroy(&mdev->irqs_lock);
	mutex_destroy(&mdev->observe_lock);
	vfio_pci_core_release_dev(core_vdev);
}

static const struct vfio_device_ops mediant_ops = {
	.name = KBUILD_MODNAME,
	.init = mediant_init_dev,
	.release = mediant_release_dev,
	.open_device = mediant_open_device,
	.close_device = mediant_close_device,
	.read = mediant_read,
	.write = mediant_write,
	.ioctl = mediant_ioctl,
	.mmap = mediant_mmap,
	.request = vfio_pci_core_request,
	.match = vfio_pci_core_match,
	.device_feature = vfio_pci_core_ioctl_feature,
#ifdef HAVE_GET_REGION_INFO_CAPS
	.get_region_info_caps = mediant_get_region_info_caps,
#endif
#ifdef HAVE_MATCH_TOKEN_UUID
	.match_token_uuid = vfio_pci_core_match_token_uuid,
#endif
#ifdef HAVE_BIND_IOMMUFD
	.bind_iommufd = vfio_iommufd_physical_bind,
	.unbind_iommufd = vfio_iommufd_physical_unbind,
	.attach_ioas = vfio_iommufd_physical_attach_ioas,
#endif
#ifdef HAVE_DETACH_IOAS
	.detach_ioas = vfio_iommufd_physical_detach_ioas,
#endif
#ifdef HAVE_PASID_ATTACH_IOAS
	.pasid_attach_ioas = vfio_iommufd_physical_pasid_attach_ioas,
	.pasid_detach_ioas = vfio_iommufd_physical_pasid_detach_ioas,
#endif
};

static int mediant_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct mediant_device *mdev;
	int ret;

	if (!mediant_serves(pdev))
		return -ENODEV;

	mdev = vfio_alloc_device(mediant_device, core.vdev, &pdev->dev, &mediant_ops);
	if (IS_ERR(mdev))
		return PTR_ERR(mdev);

	dev_set_drvdata(&pdev->dev, &mdev->core);
#ifdef HAVE_GET_DMABUF_PHYS
	mdev->core.pci_ops = &mediant_pci_ops;
#endif
	ret = vfio_pci_core_register_device(&mdev->core);
	if (ret) {
		vfio_put_device(&mdev->core.vdev);
		return ret;
	}
	mediant_observe(mdev);
	return 0;
}

static void mediant_remove(struct pci_dev *pdev)
{
	struct vfio_pci_core_device *core = dev_get_drvdata(&pdev->dev);

	mediant_unobserve(mediant_of_core(core));
	/* Waits until the device is closed. */
	vfio_pci_core_unregister_device(core);
	vfio_put_device(&core->vdev);
}

static int mediant_sriov_configure(struct pci_dev *pdev, int nr_virtfn)
{
	if (!READ_ONCE(mediant_enable_sriov))
		return -ENOENT;
	return vfio_pci_core_sriov_configure(dev_get_drvdata(&pdev->dev), nr_virtfn);
}

static const struct pci_error_handlers mediant_err_handlers = {
	.error_detected = mediant_error_detected,
	.slot_reset = mediant_slot_reset,
	.resume = mediant_resume,
	.reset_done = mediant_reset_done,
};

static struct pci_driver mediant_driver = {
	.name = KBUILD_MODNAME,
	.id_table = mediant_ids,
	.probe = mediant_probe,
	.remove = mediant_remove,
	.sriov_configure = mediant_sriov_configure,
	.err_handler = &mediant_err_handlers,
	.groups = mediant_groups,
	.driver_managed_dma = true,
};

static int __init mediant_init(void)
{
	int ret;

	BUILD_BUG_ON(strcmp(KBUILD_MODNAME, MEDIANT_MODULE_NAME));
	ret = mediant_init_providers();
	if (ret)
		return ret;
	mediant_init_observe();
	ret = pci_register_driver(&mediant_driver);
	if (ret)
		mediant_exit_observe();
	return ret;
}
module_init(mediant_init);

static void __exit mediant_exit(void)
{
	pci_unregister_driver(&mediant_driver);
	mediant_exit_observe();
}
module_exit(mediant_exit);

MODULE_LICENSE(MEDIANT_MODULE_LICENSE);
MODULE_AUTHOR(MEDIANT_MODULE_AUTHOR);
MODULE_DESCRIPTION(MEDIANT_MODULE_DESCRIPTION);
MODULE_VERSION(MEDIANT_MODULE_VERSION);
