// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * A guest's driver for edu devices that QEMU has from a vfio-user server: uses registers,
 * interrupts, DMA and reset of each as a driver would, and says in the log what it found.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/dma-mapping.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/pci.h>

enum {
	EDU_IDENT = 0x00,
	EDU_LIVE = 0x04,
	EDU_FACTORIAL = 0x08,
	EDU_STATUS = 0x20,
	EDU_IRQ_STATUS = 0x24,
	EDU_EVENTS = 0x28,
	EDU_READS = 0x2c,
	EDU_VERSION = 0x30,
	EDU_DOORBELL = 0x34,
	EDU_IRQ_RAISE = 0x60,
	EDU_IRQ_ACK = 0x64,
	EDU_DMA_SOURCE = 0x80,
	EDU_DMA_TARGET = 0x88,
	EDU_DMA_COUNT = 0x90,
	EDU_DMA_COMMAND = 0x98,
};

#define EDU_BUFFER 0x40000
#define EDU_BUFFER_SIZE 4096
#define EDU_DMA_RUN 1
#define EDU_DMA_TO_MEMORY 2
#define EDU_DMA_INTERRUPT 4

static bool intx;
module_param(intx, bool, 0444);
MODULE_PARM_DESC(intx, "Use the interrupt line rather than a message");

struct edu {
	struct pci_dev *pdev;
	void __iomem *bar;
	struct completion raised;
	u32 status;
	unsigned int failures;
};

static void edu_expect(struct edu *edu, const char *what, u64 got, u64 expected)
{
	if (got == expected)
		return;
	edu->failures++;
	dev_err(&edu->pdev->dev, "FAILED %s: %llx, expected %llx\n", what, got, expected);
}

static irqreturn_t edu_interrupt(int irq, void *data)
{
	struct edu *edu = data;
	u32 status = ioread32(edu->bar + EDU_IRQ_STATUS);

	if (!status)
		return IRQ_NONE;
	edu->status = status;
	iowrite32(status, edu->bar + EDU_IRQ_ACK);
	complete(&edu->raised);
	return IRQ_HANDLED;
}

static void edu_wait(struct edu *edu, const char *what, u32 status)
{
	if (!wait_for_completion_timeout(&edu->raised, 20 * HZ)) {
		edu_expect(edu, what, 0, status);
		return;
	}
	edu_expect(edu, what, edu->status, status);
}

static void edu_registers(struct edu *edu, bool mediated)
{
	unsigned int tries;
	unsigned int i;

	for (i = 0; i < 200; i++) {
		u32 value = 0x9e3779b9u * i;

		iowrite32(value, edu->bar + EDU_LIVE);
		edu_expect(edu, "LIVE", ioread32(edu->bar + EDU_LIVE), (u32)~value);
	}
	iowrite32(12, edu->bar + EDU_FACTORIAL);
	for (tries = 0; tries < 1000 && ioread32(edu->bar + EDU_STATUS) & 1; tries++)
		usleep_range(1000, 2000);
	edu_expect(edu, "12!", ioread32(edu->bar + EDU_FACTORIAL), 479001600);
	if (!mediated)
		return;

	edu_expect(edu, "VERSION", ioread32(edu->bar + EDU_VERSION), 0x100);
	iowrite8(0x5a, edu->bar + EDU_DOORBELL + 1);
	edu_expect(edu, "EVENTS", ioread32(edu->bar + EDU_EVENTS), 0x5a00);
	iowrite32(0x1200, edu->bar + EDU_EVENTS);
	edu_expect(edu, "EVENTS, some cleared", ioread32(edu->bar + EDU_EVENTS), 0x4800);
	edu_expect(edu, "the hidden buffer", ioread32(edu->bar + EDU_BUFFER), 0xffffffff);
	iowrite32(0xabcd, edu->bar + EDU_DMA_SOURCE);
	edu_expect(edu, "DMA's virtual registers", ioread32(edu->bar + EDU_DMA_SOURCE), 0xabcd);
}

static void edu_interrupts(struct edu *edu)
{
	unsigned int i;

	for (i = 1; i <= 20; i++) {
		iowrite32(i, edu->bar + EDU_IRQ_RAISE);
		edu_wait(edu, "an interrupt", i);
	}
}

static void edu_transfer(struct edu *edu, u64 source, u64 target, u64 command)
{
	writeq(source, edu->bar + EDU_DMA_SOURCE);
	writeq(target, edu->bar + EDU_DMA_TARGET);
	writeq(EDU_BUFFER_SIZE, edu->bar + EDU_DMA_COUNT);
	writeq(command | EDU_DMA_RUN | EDU_DMA_INTERRUPT, edu->bar + EDU_DMA_COMMAND);
	edu_wait(edu, "the interrupt of a transfer", 0x100);
}

static void edu_dma(struct edu *edu)
{
	struct device *dev = &edu->pdev->dev;
	dma_addr_t from_address, to_address;
	unsigned int i;
	u8 *from, *to;

	from = dma_alloc_coherent(dev, EDU_BUFFER_SIZE, &from_address, GFP_KERNEL);
	to = dma_alloc_coherent(dev, EDU_BUFFER_SIZE, &to_address, GFP_KERNEL);
	if (!from || !to) {
		edu_expect(edu, "memory", 0, 1);
		return;
	}
	for (i = 0; i < EDU_BUFFER_SIZE; i++)
		from[i] = i * 7 + (i >> 8);
	memset(to, 0, EDU_BUFFER_SIZE);
	edu_transfer(edu, from_address, EDU_BUFFER, 0);
	edu_transfer(edu, EDU_BUFFER, to_address, EDU_DMA_TO_MEMORY);
	edu_expect(edu, "what came back", memcmp(from, to, EDU_BUFFER_SIZE), 0);
	dma_free_coherent(dev, EDU_BUFFER_SIZE, from, from_address);
	dma_free_coherent(dev, EDU_BUFFER_SIZE, to, to_address);
}

static void edu_reset(struct edu *edu)
{
	u32 reads;

	reads = ioread32(edu->bar + EDU_READS);
	ioread32(edu->bar + EDU_IDENT);
	edu_expect(edu, "READS counts", ioread32(edu->bar + EDU_READS), reads + 1);
	edu_expect(edu, "the reset", pci_reset_function_locked(edu->pdev), 0);
	edu_expect(edu, "READS after the reset", ioread32(edu->bar + EDU_READS), 0);
	edu_expect(edu, "EVENTS after the reset", ioread32(edu->bar + EDU_EVENTS), 0);
	edu_expect(edu, "IDENT after the reset", ioread32(edu->bar + EDU_IDENT), 0x01ac00ed);
}

static int edu_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	unsigned int kind = intx ? PCI_IRQ_LEGACY : PCI_IRQ_MSI;
	bool mediated;
	struct edu *edu;
	u32 ident;
	int ret;

	edu = devm_kzalloc(&pdev->dev, sizeof(*edu), GFP_KERNEL);
	if (!edu)
		return -ENOMEM;
	edu->pdev = pdev;
	init_completion(&edu->raised);
	ret = pcim_enable_device(pdev);
	if (!ret)
		ret = pcim_iomap_regions(pdev, BIT(0), KBUILD_MODNAME);
	if (!ret)
		ret = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(28));
	if (!ret)
		ret = pci_alloc_irq_vectors(pdev, 1, 1, kind) == 1 ? 0 : -ENOSPC;
	if (ret)
		return dev_err_probe(&pdev->dev, ret, "FAILED to set up\n");
	edu->bar = pcim_iomap_table(pdev)[0];
	pci_set_master(pdev);
	ret = request_irq(pci_irq_vector(pdev, 0), edu_interrupt, IRQF_SHARED, KBUILD_MODNAME, edu);
	if (ret) {
		pci_free_irq_vectors(pdev);
		return dev_err_probe(&pdev->dev, ret, "FAILED to take the interrupt\n");
	}
	pci_set_drvdata(pdev, edu);

	ident = ioread32(edu->bar + EDU_IDENT);
	mediated = ident == 0x01ac00ed;
	if (!mediated)
		edu_expect(edu, "IDENT", ident, 0x010000ed);
	edu_registers(edu, mediated);
	edu_interrupts(edu);
	if (mediated)
		edu_reset(edu);
	else
		edu_dma(edu);
	dev_info(&pdev->dev, "%s, %s: %u failures\n", mediated ? "mediated" : "as it is",
		 intx ? "INTx" : "MSI", edu->failures);
	return 0;
}

static void edu_remove(struct pci_dev *pdev)
{
	free_irq(pci_irq_vector(pdev, 0), pci_get_drvdata(pdev));
	pci_free_irq_vectors(pdev);
}

static const struct pci_device_id edu_ids[] = { { PCI_DEVICE(0x1234, 0x11e8) }, {} };
MODULE_DEVICE_TABLE(pci, edu_ids);

static struct pci_driver edu_driver = {
	.name = KBUILD_MODNAME,
	.id_table = edu_ids,
	.probe = edu_probe,
	.remove = edu_remove,
};
module_pci_driver(edu_driver);

MODULE_LICENSE("Dual BSD/GPL");
MODULE_DESCRIPTION("Uses QEMU's edu device as a driver would");
