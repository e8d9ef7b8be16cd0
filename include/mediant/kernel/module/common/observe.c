// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Events, and a file in debugfs for each device: who mediates it, what is trapped, what can be
 * mapped, what of configuration space the policy answers to reads, keeps of writes or is told of,
 * and how often it was called since the device was opened.
 */
#include <linux/debugfs.h>
#include <linux/seq_file.h>

#include "device.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

static struct dentry *mediant_debugfs;

void mediant_init_observe(void)
{
	mediant_debugfs = debugfs_create_dir(KBUILD_MODNAME, NULL);
}

void mediant_exit_observe(void)
{
	debugfs_remove(mediant_debugfs);
}

static void mediant_show_bar(struct seq_file *file, struct mediant_device *mdev, unsigned int bar)
{
	const struct mediant_provider *provider = mdev->provider;
	u64 size = mdev->regions[bar].size;
	u64 from = 0, end = 0;
	unsigned int before = 0;
	struct mediant_area area;

	if (!size)
		return;
	seq_printf(file, "bar %u: 0x%llx bytes\n", bar, size);
	while (end < size) {
		unsigned int trapped = 1;
		u64 run = provider->run(mdev->state, bar, end, size - end, &trapped);

		if (trapped != before) {
			if (before)
				seq_printf(file, "  trapped 0x%llx-0x%llx\n", from, end - 1);
			from = end;
			before = trapped;
		}
		end += run;
	}
	if (before)
		seq_printf(file, "  trapped 0x%llx-0x%llx\n", from, end - 1);
	if (!mediant_mediates(mdev, bar))
		return;
	for (from = 0; mediant_next_area(mdev, bar, from, &area); from = area.offset + area.size)
		seq_printf(file, "  mappable 0x%llx-0x%llx\n", area.offset,
			   area.offset + area.size - 1);
}

static const char *mediant_treatment(unsigned int treatment, bool write)
{
	if (!(treatment & MEDIANT_TAKEN))
		return "observed";
	return write ? "kept" : "answered";
}

/* Byte by byte, since a run that passes counts as observed if some of it is. */
static void mediant_show_config(struct seq_file *file, struct mediant_device *mdev, bool write)
{
	unsigned int size = mdev->core.pdev->cfg_size;
	unsigned int at, from = 0, before = 0;

	for (at = 0; at <= size; at++) {
		unsigned int now = 0;

		if (at < size)
			mdev->provider->config_run(mdev->state, write, at, 1, &now);
		if (now == before)
			continue;
		if (before)
			seq_printf(file, "  %s 0x%x-0x%x\n", mediant_treatment(before, write), from,
				   at - 1);
		from = at;
		before = now;
	}
}

static int mediant_mediation_show(struct seq_file *file, void *unused)
{
	struct mediant_device *mdev = file->private;
	const struct mediant_counters *counters = &mdev->counters;
	unsigned int bar;

	/* While there is a state, its provider stays. */
	mediant_lock(mdev);
	if (!mdev->state) {
		seq_puts(file, "provider: none\n");
	} else {
		seq_printf(file, "provider: %s\n", mdev->provider->name);
		for (bar = 0; bar < PCI_STD_NUM_BARS; bar++)
			mediant_show_bar(file, mdev, bar);
		if (mediant_asks(mdev, MEDIANT_CONFIG)) {
			seq_printf(file, "configuration space: 0x%llx bytes\n",
				   mdev->regions[VFIO_PCI_CONFIG_REGION_INDEX].size);
			mediant_show_config(file, mdev, false);
			mediant_show_config(file, mdev, true);
		}
		seq_printf(file, "reads: %llu\nwrites: %llu\nloads: %llu\nstores: %llu\ninterrupts: %llu\nresets: %llu\n",
			   counters->reads, counters->writes, counters->loads, counters->stores,
			   counters->interrupts, counters->resets);
	}
	mediant_unlock(mdev);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(mediant_mediation);

void mediant_observe(struct mediant_device *mdev)
{
	mdev->debugfs = debugfs_create_file(pci_name(mdev->core.pdev), 0400, mediant_debugfs, mdev,
					    &mediant_mediation_fops);
}

/* Waits for readers of the file. */
void mediant_unobserve(struct mediant_device *mdev)
{
	debugfs_remove(mdev->debugfs);
}
