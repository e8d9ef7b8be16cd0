// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Configuration space as VFIO shows it, from within the kernel. The core reads and writes it for
 * users alone: what it exports takes a user's buffer, on every kernel so far. What it shows is made
 * of the device's own bytes and of those that it keeps in vconfig; which bits are kept is said by
 * tables of its own (drivers/vfio/pci/vfio_pci_config.c, of which this follows 6.1 to 7.3), that by
 * the capability to which pci_config_map says that a byte belongs. What a user reads and writes
 * goes to the core itself wherever the policy has no say in it.
 */
#include <linux/align.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <asm/byteorder.h>

#include "device.h"

/* In pci_config_map: bytes of no capability, which pass, and such that exist in vconfig alone. */
#define MEDIANT_UNASSIGNED 0xff
#define MEDIANT_VIRTUAL 0xfe

static bool mediant_is_bar(unsigned int pos)
{
	return (pos >= PCI_BASE_ADDRESS_0 && pos < PCI_BASE_ADDRESS_5 + 4) ||
	       (pos >= PCI_ROM_ADDRESS && pos < PCI_ROM_ADDRESS + 4);
}

/* Where the capability begins that the map has at `pos`. */
static unsigned int mediant_cap_start(struct vfio_pci_core_device *core, unsigned int pos)
{
	unsigned int base = pos < PCI_CFG_SPACE_SIZE ? PCI_STD_HEADER_SIZEOF : PCI_CFG_SPACE_SIZE;
	u8 id = core->pci_config_map[pos];

	while (pos > base && core->pci_config_map[pos - 1] == id)
		pos--;
	return pos;
}

/* The bits of a byte of the header that are the core's. */
static u8 mediant_kept_in_header(struct vfio_pci_core_device *core, unsigned int pos)
{
	if (mediant_is_bar(pos))
		return 0xff;
	switch (pos) {
	case PCI_VENDOR_ID ... PCI_DEVICE_ID + 1:
	case PCI_CAPABILITY_LIST:
	case PCI_INTERRUPT_LINE:
	case PCI_INTERRUPT_PIN:
		return 0xff;
	case PCI_COMMAND:
		return core->pdev->no_command_memory ? PCI_COMMAND_MEMORY : 0;
	case PCI_COMMAND + 1:
		return PCI_COMMAND_INTX_DISABLE >> 8;
	case PCI_STATUS:
		return PCI_STATUS_CAP_LIST;
	default:
		return 0;
	}
}

/* Those of one `at` bytes into a capability of the first 256 bytes that begins at `start`. */
static u8 mediant_kept_in_cap(struct vfio_pci_core_device *core, unsigned int start,
			      unsigned int at)
{
	u8 id = core->pci_config_map[start];

	if (at == PCI_CAP_LIST_NEXT)
		return 0xff;
	switch (id) {
	case PCI_CAP_ID_PM:
		if (at == PCI_PM_PMC + 1)
			return PCI_PM_CAP_PME_MASK >> 8;
		if (at == PCI_PM_CTRL + 1)
			return (PCI_PM_CTRL_PME_ENABLE | PCI_PM_CTRL_PME_STATUS) >> 8;
		return 0;
	case PCI_CAP_ID_VPD:
		return at >= PCI_VPD_ADDR ? 0xff : 0;
	case PCI_CAP_ID_EXP:
		if (at == PCI_EXP_DEVCTL)
			return PCI_EXP_DEVCTL_PAYLOAD;
		if (at == PCI_EXP_DEVCTL + 1)
			return (PCI_EXP_DEVCTL_BCR_FLR | PCI_EXP_DEVCTL_READRQ) >> 8;
		return 0;
	case PCI_CAP_ID_AF:
		return at == PCI_AF_CTRL ? PCI_AF_CTRL_FLR : 0;
	case PCI_CAP_ID_MSI:
		if (at == PCI_MSI_FLAGS || (at >= PCI_MSI_ADDRESS_LO && at < PCI_MSI_DATA_32 + 2))
			return 0xff;
		if (core->vconfig[start + PCI_MSI_FLAGS] & PCI_MSI_FLAGS_64BIT)
			return at >= PCI_MSI_ADDRESS_HI && at < PCI_MSI_DATA_64 + 2 ? 0xff : 0;
		return 0;
	default:
		return 0;
	}
}

/* The bits of a byte that are read from vconfig; the others are the device's. */
static u8 mediant_kept(struct vfio_pci_core_device *core, unsigned int pos)
{
	u8 id = core->pci_config_map[pos];
	unsigned int start;

	if (pos < PCI_STD_HEADER_SIZEOF)
		return mediant_kept_in_header(core, pos);
	if (id == MEDIANT_UNASSIGNED)
		return 0;
	if (id == MEDIANT_VIRTUAL)
		return 0xff;
	start = mediant_cap_start(core, pos);
	if (pos < PCI_CFG_SPACE_SIZE)
		return mediant_kept_in_cap(core, start, pos - start);
	return pos - start < 4 ? 0xff : 0; /* the header of an extended capability */
}

/* A BAR's register, or the ROM's: the address as it was written, of which the size has no bits. */
static u32 mediant_bar_register(struct vfio_pci_core_device *core, unsigned int pos)
{
	struct pci_dev *pdev = core->pdev;
	u32 value = le32_to_cpup((__le32 *)(core->vconfig + pos));
	unsigned long flags;
	unsigned int bar;
	u64 mask;

	if (pos == PCI_ROM_ADDRESS) {
		u64 size = mediant_rom_size(pdev);

		return size ? value & ((u32)~(size - 1) | PCI_ROM_ADDRESS_ENABLE) : 0;
	}

	bar = (pos - PCI_BASE_ADDRESS_0) / 4;
	if (bar && pci_resource_start(pdev, bar - 1) &&
	    pci_resource_flags(pdev, bar - 1) & IORESOURCE_MEM_64)
		return value & (u32)(~(pci_resource_len(pdev, bar - 1) - 1) >> 32);
	if (!pci_resource_start(pdev, bar))
		return 0;
	mask = ~(pci_resource_len(pdev, bar) - 1);
	flags = pci_resource_flags(pdev, bar);
	value &= (u32)mask;
	if (flags & IORESOURCE_IO)
		return value | PCI_BASE_ADDRESS_SPACE_IO;
	if (flags & IORESOURCE_PREFETCH)
		value |= PCI_BASE_ADDRESS_MEM_PREFETCH;
	if (flags & IORESOURCE_MEM_64)
		value |= PCI_BASE_ADDRESS_MEM_TYPE_64;
	return value;
}

/* Waits for a reset to end, which waits for nobody here. */
static int mediant_read_device(struct pci_dev *pdev, unsigned int pos, unsigned int width,
			       u32 *value)
{
	u16 word = 0;
	u8 byte = 0;
	int ret;

	switch (width) {
	case 1:
		ret = pci_user_read_config_byte(pdev, pos, &byte);
		*value = byte;
		break;
	case 2:
		ret = pci_user_read_config_word(pdev, pos, &word);
		*value = word;
		break;
	default:
		ret = pci_user_read_config_dword(pdev, pos, value);
		break;
	}
	return ret;
}

static int mediant_write_device(struct pci_dev *pdev, unsigned int pos, unsigned int width,
				u32 value)
{
	switch (width) {
	case 1:
		return pci_user_write_config_byte(pdev, pos, value);
	case 2:
		return pci_user_write_config_word(pdev, pos, value);
	default:
		return pci_user_write_config_dword(pdev, pos, value);
	}
}

/* At most 4 bytes, of which the bits in `kept` are vconfig's. */
static int mediant_load_natural(struct vfio_pci_core_device *core, unsigned int pos,
				unsigned int width, u32 *value)
{
	u32 kept = 0, mine = 0;
	unsigned int i;
	int ret;

	for (i = 0; i < width; i++) {
		unsigned int at = pos + i;
		u8 byte = core->vconfig[at];

		if (at < PCI_STD_HEADER_SIZEOF && mediant_is_bar(at))
			byte = mediant_bar_register(core, at & ~3u) >> (8 * (at & 3));
		kept |= (u32)mediant_kept(core, at) << (8 * i);
		mine |= (u32)byte << (8 * i);
	}
	*value = mine;
	if (kept == U32_MAX >> (32 - 8 * width))
		return 0;
	ret = mediant_read_device(core->pdev, pos, width, value);
	*value = (*value & ~kept) | (mine & kept);
	return ret;
}

static bool mediant_good_place(struct vfio_pci_core_device *core, u64 offset, unsigned int width)
{
	u64 size = core->pdev->cfg_size;

	return is_power_of_2(width) && width <= 8 && IS_ALIGNED(offset, width) && offset < size &&
	       width <= size - offset;
}

int mediant_load_config(struct vfio_pci_core_device *core, u64 offset, unsigned int width,
			u64 *value)
{
	u32 low = 0, high = 0;
	int ret;

	if (!mediant_good_place(core, offset, width))
		return -EINVAL;
	ret = mediant_load_natural(core, offset, min(width, 4u), &low);
	if (!ret && width == 8)
		ret = mediant_load_natural(core, offset + 4, 4, &high);
	*value = (u64)high << 32 | low;
	return ret;
}

/*
 * Whether writes of these bytes end where the core would have them end when they are made here: at
 * the device as they are, or in the registers of BARs, which are memory of the core's.
 */
bool mediant_stores_config(struct vfio_pci_core_device *core, u64 offset, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		unsigned int pos = offset + i;
		u8 id = core->pci_config_map[pos];
		bool raw = id == MEDIANT_UNASSIGNED;

		if (pos < PCI_STD_HEADER_SIZEOF)
			raw = mediant_is_bar(pos);
		else if (pos < PCI_CFG_SPACE_SIZE)
			raw = raw || id == PCI_CAP_ID_VNDR;
		else
			raw = raw || id == PCI_EXT_CAP_ID_VNDR || id == PCI_EXT_CAP_ID_DVSEC;
		if (!raw)
			return false;
	}
	return true;
}

static int mediant_store_natural(struct vfio_pci_core_device *core, unsigned int pos,
				 unsigned int width, u32 value)
{
	unsigned int i;

	if (pos >= PCI_STD_HEADER_SIZEOF)
		return mediant_write_device(core->pdev, pos, width, value);
	for (i = 0; i < width; i++)
		core->vconfig[pos + i] = value >> (8 * i);
	core->bardirty = true;
	return 0;
}

int mediant_store_config(struct vfio_pci_core_device *core, u64 offset, unsigned int width,
			 u64 value)
{
	int ret;

	if (!mediant_good_place(core, offset, width))
		return -EINVAL;
	if (!mediant_stores_config(core, offset, width))
		return -EPERM;
	ret = mediant_store_natural(core, offset, min(width, 4u), value);
	if (!ret && width == 8)
		ret = mediant_store_natural(core, offset + 4, 4, value >> 32);
	return ret;
}

/*
 * What a write by the core has left: of COMMAND what the user wrote of the enable bits, whether the
 * device has them or not.
 */
int mediant_load_written(struct vfio_pci_core_device *core, u64 offset, size_t count, u8 *bytes)
{
	const u8 enables = PCI_COMMAND_IO | PCI_COMMAND_MEMORY;
	size_t i;

	for (i = 0; i < count; i++) {
		u32 value = 0;
		int ret = mediant_load_natural(core, offset + i, 1, &value);

		if (ret)
			return ret;
		if (offset + i == PCI_COMMAND)
			value = (value & ~enables) | (core->vconfig[PCI_COMMAND] & enables);
		bytes[i] = value;
	}
	return 0;
}
