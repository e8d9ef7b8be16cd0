# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
#
# Which kernel this is: asked of its headers, since stable kernels take API over from newer ones.
mediant-probe = $(shell grep -qsE '$(2)' $(srctree)/include/linux/$(1) && echo -DHAVE_$(3))

ccflags-y += $(call mediant-probe,vfio.h,define vfio_alloc_device,VFIO_ALLOC_DEVICE)
ccflags-y += $(call mediant-probe,vfio.h,vfio_iommufd_physical_attach_ioas,BIND_IOMMUFD)
ccflags-y += $(call mediant-probe,vfio.h,vfio_iommufd_physical_detach_ioas,DETACH_IOAS)
ccflags-y += $(call mediant-probe,vfio.h,vfio_iommufd_physical_pasid_attach_ioas,PASID_ATTACH_IOAS)
ccflags-y += $(call mediant-probe,vfio.h,\*match_token_uuid,MATCH_TOKEN_UUID)
ccflags-y += $(call mediant-probe,vfio.h,\*get_region_info_caps,GET_REGION_INFO_CAPS)
ccflags-y += $(call mediant-probe,vfio.h,\*migration_get_data_size,MIGRATION_GET_DATA_SIZE)
ccflags-y += $(call mediant-probe,vfio.h,vfio_check_precopy_ioctl,VFIO_CHECK_PRECOPY_IOCTL)
ccflags-y += $(call mediant-probe,iova_bitmap.h,CONFIG_IOMMUFD_DRIVER,IOMMUFD_IOVA_BITMAP)
ccflags-y += $(call mediant-probe,module.h,define MODULE_IMPORT_NS.ns.*__stringify,IMPORT_NS_TOKEN)
ccflags-y += $(call mediant-probe,vfio_pci_core.h,vfio_pci_core_get_iomap,VFIO_PCI_CORE_GET_IOMAP)
ccflags-y += $(call mediant-probe,vfio_pci_core.h,vfio_pci_core_setup_barmap,VFIO_PCI_CORE_SETUP_BARMAP)
ccflags-y += $(call mediant-probe,vfio_pci_core.h,__vfio_pci_memory_enabled,VFIO_PCI_MEMORY_ENABLED)
ccflags-y += $(call mediant-probe,vfio_pci_core.h,VFIO_IOREAD_DECLAR?ATION.64,VFIO_PCI_IO64)
ccflags-y += $(call mediant-probe,vfio_pci_core.h,\*get_dmabuf_phys,GET_DMABUF_PHYS)
ccflags-y += $(call mediant-probe,vfio_pci_core.h,struct dma_buf_phys_vec,DMA_BUF_PHYS_VEC)
ccflags-y += $(call mediant-probe,vfio_pci_core.h,has_dyn_msix,DYN_MSIX)
ccflags-y += $(call mediant-probe,vfio_pci_core.h,struct list_head[[:space:]]+vma_list,VFIO_PCI_VMA_LIST)
ccflags-y += $(call mediant-probe,eventfd.h,void eventfd_signal\(struct eventfd_ctx \*ctx\),EVENTFD_SIGNAL_ONE)
