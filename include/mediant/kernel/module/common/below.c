// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * What a policy passes to: one naturally aligned access to a BAR of the device, under the rules of
 * vfio-pci's own (vfio_pci_bar_rw): memory_lock held for reading, memory enabled and the device
 * out of D3, the MSI-X table out of reach. Configuration space is in below_config.c.
 */
#include <linux/err.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/io.h>
#include <linux/log2.h>
#include <linux/nospec.h>
#include <linux/string.h>

#include "device.h"
#include "trace.h"

#if defined(HAVE_VFIO_PCI_IO64) && defined(CONFIG_64BIT)
#define MEDIANT_MAX_ACCESS 8
#else
#define MEDIANT_MAX_ACCESS 4
#endif

/* memory_lock must be held. */
static bool mediant_memory_enabled(struct vfio_pci_core_device *core)
{
#ifdef HAVE_VFIO_PCI_MEMORY_ENABLED
	return __vfio_pci_memory_enabled(core);
#else
	struct pci_dev *pdev = core->pdev;
	u16 command = le16_to_cpup((__le16 *)&core->vconfig[PCI_COMMAND]);

	/* As the core's: a VF's memory is enabled by its PF. */
	return (__force int)pdev->current_state < (__force int)PCI_D3hot &&
	       (pdev->no_command_memory || (command & PCI_COMMAND_MEMORY));
#endif
}

static u64 mediant_ioread(void __iomem *io, unsigned int width)
{
	switch (width) {
	case 1:
		return ioread8(io);
	case 2:
		return ioread16(io);
	case 4:
		return ioread32(io);
	default:
		return ioread64(io);
	}
}

static void mediant_iowrite(void __iomem *io, unsigned int width, u64 value)
{
	switch (width) {
	case 1:
		iowrite8(value, io);
		break;
	case 2:
		iowrite16(value, io);
		break;
	case 4:
		iowrite32(value, io);
		break;
	default:
		iowrite64(value, io);
		break;
	}
}

/* A table entry is 16 bytes, so that a natural access lies in the table or does not touch it. */
static bool mediant_in_msix_table(struct vfio_pci_core_device *core, unsigned int bar, u64 offset)
{
	return bar == core->msix_bar && offset >= core->msix_offset &&
	       offset - core->msix_offset < core->msix_size;
}

/*
 * The core's mapping of a BAR, which it takes back when the device is closed. Newer cores make all
 * of them at open; older ones at the first access, and 6.1 exports nothing to that end.
 */
static void __iomem *mediant_map_bar(struct vfio_pci_core_device *core, unsigned int bar)
{
#if defined(HAVE_VFIO_PCI_CORE_GET_IOMAP)
	return vfio_pci_core_get_iomap(core, bar);
#elif defined(HAVE_VFIO_PCI_CORE_SETUP_BARMAP)
	int ret = vfio_pci_core_setup_barmap(core, bar);

	return ret ? IOMEM_ERR_PTR(ret) : core->barmap[bar];
#else
	struct pci_dev *pdev = core->pdev;
	int ret;

	if (core->barmap[bar])
		return core->barmap[bar];
	ret = pci_request_selected_regions(pdev, BIT(bar), "vfio");
	if (ret)
		return IOMEM_ERR_PTR(ret);
	core->barmap[bar] = pci_iomap(pdev, bar, 0);
	if (core->barmap[bar])
		return core->barmap[bar];
	pci_release_selected_regions(pdev, BIT(bar));
	return IOMEM_ERR_PTR(-ENOMEM);
#endif
}

/*
 * At open, while nobody else can: of two first accesses at once an older core answers one EBUSY,
 * since it has both request the region. A BAR that cannot be had is left to who accesses it.
 */
void mediant_map_all_bars(struct vfio_pci_core_device *core)
{
	unsigned int bar;

	for (bar = 0; bar < PCI_STD_NUM_BARS; bar++)
		if (mediant_bar_size(core->pdev, bar))
			mediant_map_bar(core, bar);
}

/* A BAR's mapping, made when the policy first reaches it. The policy lock must be held. */
static void __iomem *mediant_bar(struct mediant_device *mdev, unsigned int bar)
{
	void __iomem *io = mdev->io[bar];

	if (io)
		return io;
	io = mediant_map_bar(&mdev->core, bar);
	if (!IS_ERR(io))
		mdev->io[bar] = io;
	return io;
}

static int mediant_reach(struct mediant_device *mdev, unsigned int bar, u64 offset,
			 unsigned int width, bool write, u64 *value)
{
	struct vfio_pci_core_device *core = &mdev->core;
	struct pci_dev *pdev = core->pdev;
	void __iomem *io;
	u64 size;
	bool memory;

	if (bar >= PCI_STD_NUM_BARS)
		return -EINVAL;
	bar = array_index_nospec(bar, PCI_STD_NUM_BARS);
	size = mediant_bar_size(pdev, bar);
	if (!is_power_of_2(width) || width > MEDIANT_MAX_ACCESS || offset & (width - 1) ||
	    offset >= size || width > size - offset)
		return -EINVAL;
	io = mediant_bar(mdev, bar);
	if (IS_ERR(io))
		return PTR_ERR(io);

	if (mediant_in_msix_table(core, bar, offset)) {
		if (!write)
			*value = width == 8 ? U64_MAX : BIT_ULL(8 * width) - 1;
		return 0;
	}

	memory = pci_resource_flags(pdev, bar) & IORESOURCE_MEM;
	if (memory) {
		down_read(&core->memory_lock);
		if (!mediant_memory_enabled(core)) {
			up_read(&core->memory_lock);
			return -EIO;
		}
	}

	if (write)
		mediant_iowrite(io + offset, width, *value);
	else
		*value = mediant_ioread(io + offset, width);

	if (memory)
		up_read(&core->memory_lock);
	return 0;
}

static int mediant_below_load(void *device, unsigned int region, unsigned long long offset,
			      unsigned int width, unsigned long long *value)
{
	struct mediant_device *mdev = device;
	u64 loaded = 0;
	int ret;

	if (region == VFIO_PCI_CONFIG_REGION_INDEX)
		ret = mediant_load_config(&mdev->core, offset, width, &loaded);
	else
		ret = mediant_reach(mdev, region, offset, width, false, &loaded);
	mdev->counters.loads++;
	trace_mediant_below(mdev->core.pdev, region, offset, width, false, loaded, ret);

	*value = loaded;
	return ret;
}

static int mediant_below_store(void *device, unsigned int region, unsigned long long offset,
			       unsigned int width, unsigned long long value)
{
	struct mediant_device *mdev = device;
	u64 stored = value;
	int ret;

	if (region == VFIO_PCI_CONFIG_REGION_INDEX)
		ret = mediant_store_config(&mdev->core, offset, width, value);
	else
		ret = mediant_reach(mdev, region, offset, width, true, &stored);
	mdev->counters.stores++;
	trace_mediant_below(mdev->core.pdev, region, offset, width, true, value, ret);
	return ret;
}

static unsigned long long mediant_below_region_size(void *device, unsigned int region)
{
	struct mediant_device *mdev = device;
	struct pci_dev *pdev = mdev->core.pdev;

	switch (region) {
	case VFIO_PCI_BAR0_REGION_INDEX ... VFIO_PCI_BAR5_REGION_INDEX:
		return mediant_bar_size(pdev, region);
	case VFIO_PCI_ROM_REGION_INDEX:
		return mediant_rom_size(pdev);
	case VFIO_PCI_CONFIG_REGION_INDEX:
		return pdev->cfg_size;
	case VFIO_PCI_VGA_REGION_INDEX:
		return mdev->core.has_vga ? 0xc0000 : 0;
	default:
		return 0;
	}
}

static void mediant_below_log(void *device, const char *text, unsigned int count,
			      unsigned long long a, unsigned long long b, unsigned long long c)
{
	struct mediant_device *mdev = device;
	struct pci_dev *pdev = mdev->core.pdev;

	switch (count) {
	case 0:
		pci_info_ratelimited(pdev, "%s\n", text);
		break;
	case 1:
		pci_info_ratelimited(pdev, "%s %#llx\n", text, a);
		break;
	case 2:
		pci_info_ratelimited(pdev, "%s %#llx %#llx\n", text, a, b);
		break;
	default:
		pci_info_ratelimited(pdev, "%s %#llx %#llx %#llx\n", text, a, b, c);
		break;
	}
}

void mediant_init_below(struct mediant_device *mdev)
{
	mdev->below = (struct mediant_below) {
		.size = sizeof(mdev->below),
		.version = MEDIANT_ABI_VERSION,
		.max_access = MEDIANT_MAX_ACCESS,
		.device = mdev,
		.load = mediant_below_load,
		.store = mediant_below_store,
		.region_size = mediant_below_region_size,
		.log = mediant_below_log,
		.device_info = mediant_below_device_info,
		.region_info = mediant_below_region_info,
		.irq_info = mediant_below_irq_info,
		.reset_device = mediant_below_reset,
		.revoke = mediant_below_revoke,
		.regions_changed = mediant_below_regions_changed,
		.start_dma_logging = mediant_below_start_log,
		.stop_dma_logging = mediant_below_stop_log,
		.report_dma_logging = mediant_below_report_log,
		.dirty = mediant_below_dirty,
		.trigger = mediant_below_trigger,
	};
}

/* Maps the device's BARs that the policy mediates. The policy lock must be held. */
int mediant_map_bars(struct mediant_device *mdev)
{
	unsigned int bar;

	for (bar = 0; bar < PCI_STD_NUM_BARS; bar++) {
		void __iomem *io;

		if (!mediant_mediates(mdev, bar) || !mediant_bar_size(mdev->core.pdev, bar))
			continue;
		io = mediant_bar(mdev, bar);
		if (IS_ERR(io)) {
			pci_err(mdev->core.pdev, "BAR %u cannot be mapped (%ld)\n", bar,
				PTR_ERR(io));
			return PTR_ERR(io);
		}
	}
	return 0;
}

void mediant_forget_bars(struct mediant_device *mdev)
{
	memset(mdev->io, 0, sizeof(mdev->io));
}
