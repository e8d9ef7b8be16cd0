/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * What the C half of a kernel module and the C++ policy object know of each other. Nothing of the
 * kernel's or of the policy's types crosses; the same header joins user-space plug-ins.
 *
 * Both structs of functions start with their size and version and only ever grow at the end. A
 * provider whose size or version differs is refused, with both numbers in the log: what only one
 * side knows of would go unmediated. What is below may offer more than a policy knows of.
 *
 * Errors are negative errno numbers. Callbacks run in process context and may sleep; calls into one
 * state are serialised by the caller, but for run and next_area, which may come at any time while a
 * device is open. reset, run, next_area and match take no lock and touch no device.
 */
#ifndef MEDIANT_KERNEL_ABI_H
#define MEDIANT_KERNEL_ABI_H

#define MEDIANT_ABI_VERSION 3u

#define MEDIANT_ANY 0xffffffffu

#ifdef __cplusplus
extern "C" {
#endif

/* The identity of a PCI function, as struct pci_dev has it. */
struct mediant_device_id {
	unsigned int vendor;
	unsigned int device;
	unsigned int subvendor;
	unsigned int subdevice;
	unsigned int class_code; /* 24 bits: base class, subclass, interface */
};

/* A rule: which functions a provider serves. A field of MEDIANT_ANY matches any value. */
struct mediant_rule {
	unsigned int vendor;
	unsigned int device;
	unsigned int subvendor;
	unsigned int subdevice;
	unsigned int class_code; /* compared under class_mask */
	unsigned int class_mask;
};

/* A part of I/O address space. */
struct mediant_range {
	unsigned long long offset;
	unsigned long long size;
};

/* What the C half gives the policy: the device below. */
struct mediant_below {
	unsigned int size;
	unsigned int version;
	unsigned int max_access; /* widest natural access in bytes: 4 or 8 */
	unsigned int reserved;
	void *device;            /* the first argument of what follows */

	/*
	 * One naturally aligned access of width 1, 2, 4 or 8, at most max_access. 0 or -errno.
	 * Regions have the numbers of VFIO_PCI_*_REGION_INDEX. BARs can be reached, and
	 * configuration space as VFIO shows it be loaded; stored where VFIO passes writes on as
	 * they are, else -EPERM.
	 */
	int (*load)(void *device, unsigned int region, unsigned long long offset,
		    unsigned int width, unsigned long long *value);
	int (*store)(void *device, unsigned int region, unsigned long long offset,
		     unsigned int width, unsigned long long value);

	/* Size of a region in bytes, 0 where the device has none. */
	unsigned long long (*region_size)(void *device, unsigned int region);

	/* A literal text and up to three numbers, to the device's log, rate-limited. */
	void (*log)(void *device, const char *text, unsigned int count,
		    unsigned long long a, unsigned long long b, unsigned long long c);

	/*
	 * What the device below answers to VFIO_DEVICE_GET_INFO, GET_REGION_INFO, GET_IRQ_INFO and
	 * RESET. Flags have the bits of linux/vfio.h, without CAPS.
	 */
	int (*device_info)(void *device, unsigned int *regions, unsigned int *irqs,
			   unsigned int *can_reset);
	int (*region_info)(void *device, unsigned int region, unsigned long long *size,
			   unsigned int *flags);
	int (*irq_info)(void *device, unsigned int index, unsigned int *flags,
			unsigned int *count);
	int (*reset_device)(void *device);

	/*
	 * For dynamic ranges: takes [offset, offset + size) of a BAR from whoever has mapped it,
	 * once next_area no longer says that it can be. 0 or -errno: it is mapped still. And tells
	 * the user that the areas are others than before.
	 */
	int (*revoke)(void *device, unsigned int region, unsigned long long offset,
		      unsigned long long size);
	void (*regions_changed)(void *device);

	/*
	 * A log of what the device writes to memory, in pages of I/O address space: start forgets
	 * an earlier one and says which page it tracks, report gives a bit for each `page` bytes,
	 * of length / page in whole words. dirty tells it of [iova, iova + size), which does not
	 * wrap; without a log it is nothing.
	 */
	int (*start_dma_logging)(void *device, unsigned long long page,
				 const struct mediant_range *ranges, unsigned int count,
				 unsigned long long *tracked);
	int (*stop_dma_logging)(void *device);
	int (*report_dma_logging)(void *device, unsigned long long iova, unsigned long long length,
				  unsigned long long page, unsigned long long *bits,
				  unsigned int words, unsigned int forgets);
	void (*dirty)(void *device, unsigned long long iova, unsigned long long size);

	/*
	 * Raises an interrupt towards the user: a vector of an index with the number of
	 * VFIO_PCI_*_IRQ_INDEX. 0 also where the user has set none up; -EINVAL where the device has
	 * no such vector, -EOPNOTSUPP where those of the index are not the policy's to raise.
	 */
	int (*trigger)(void *device, unsigned int index, unsigned int vector);
};

/* What a provider mediates beside accesses to BARs: bits of mediant_provider.mediates. */
#define MEDIANT_CONFIG 1u /* accesses to configuration space */
#define MEDIANT_DEVICE_INFO 2u
#define MEDIANT_REGION_INFO 4u
#define MEDIANT_IRQ_INFO 8u
#define MEDIANT_RESET_DEVICE 16u
#define MEDIANT_DMA_LOGGING 32u /* reports of what the device has written: it knows of all of it */
#define MEDIANT_DYNAMIC 64u /* what can be mapped: next_area's answers change */

/* How bytes of configuration space are treated, by direction. */
#define MEDIANT_TAKEN 1u    /* does not pass: read and write are called */
#define MEDIANT_OBSERVED 2u /* config_written is told of a write when it is done */

#define MEDIANT_REPORT_WORDS 32u

/* What was wrong with the last stream that was written; texts of a size, not ended by a 0. */
struct mediant_stream_report {
	const char *what; /* in words */
	const char *party; /* the policy, or nothing where it is the stream's own matter */
	const char *field;
	unsigned int what_size;
	unsigned int party_size;
	unsigned int field_size;
	unsigned int wrong; /* 0: nothing */
	unsigned long long offset; /* in the stream, of the chunk */
};

/* What the policy object gives the C half: one provider. All members are set. */
struct mediant_provider {
	unsigned int size;
	unsigned int version;
	const char *name;
	unsigned int state_size;  /* bytes of one open device's state */
	unsigned int state_align; /* at most 8 */

	/*
	 * Rank of the provider's best rule for this device, 0 where none matches; higher goes
	 * first.
	 */
	unsigned int (*match)(const struct mediant_device_id *id);

	/* Puts a fresh state into `state`; `below` must outlive it. */
	void (*construct)(void *state, const struct mediant_below *below);
	/*
	 * Opens; -ENODEV declines the device. After an error the state is dropped without release.
	 */
	int (*open)(void *state);
	void (*release)(void *state);
	/* The device was reset: registers are back at their reset values. */
	void (*reset)(void *state);

	/*
	 * An access that the caller has clamped to the region: bytes done, fewer or -errno where it
	 * faulted. Called for whatever run() says is trapped; passes to the device below are made
	 * through load and store.
	 */
	long long (*read)(void *state, unsigned int region, unsigned long long offset,
			  unsigned char *bytes, unsigned int count);
	long long (*write)(void *state, unsigned int region, unsigned long long offset,
			   const unsigned char *bytes, unsigned int count);

	/*
	 * How the region goes on at `offset`: bytes until the treatment changes, at most `count`
	 * and at least 1; *trapped says whether they are trapped. It depends on the map and on what
	 * open found alone: a dynamic range is trapped, whatever read and write make of it now,
	 * and an answer ends where one begins or ends, also where the next byte is trapped, too.
	 */
	unsigned long long (*run)(const void *state, unsigned int region,
				  unsigned long long offset, unsigned long long count,
				  unsigned int *trapped);

	/*
	 * The first mappable area of the region at or after `from`, in whole pages: *size is 0
	 * where there are no more. A region that traps nothing is one area. With MEDIANT_DYNAMIC it
	 * depends on what is switched, too, which is one atomic byte or two.
	 */
	void (*next_area)(const void *state, unsigned int region, unsigned long long region_size,
			  unsigned long long page_size, unsigned long long from,
			  unsigned long long *offset, unsigned long long *size);

	/* What match() goes by. */
	const struct mediant_rule *rules;
	unsigned int rule_count;

	unsigned int mediates; /* MEDIANT_CONFIG and its like; what is not set is not called */
	unsigned int hidden_irqs; /* bit n: the user sees no vectors of index n, and sets none */

	/*
	 * How configuration space goes on at `offset`, for reads or for writes: bytes until what
	 * passes and what is taken change. *treatment of the whole: MEDIANT_TAKEN and its like.
	 * What passes is asked of the device below by the caller; what is taken has from below no
	 * more than a policy itself may load.
	 */
	unsigned int (*config_run)(void *state, unsigned int write, unsigned int offset,
				   unsigned int count, unsigned int *treatment);
	/*
	 * After a write of configuration space of which some was observed: the bytes that were
	 * written, of which those count that are observed. 0, or -errno, which is the write's.
	 */
	int (*config_written)(void *state, unsigned int offset, const unsigned char *bytes,
			      unsigned int count);

	/* What the user is to be told, and a reset that the user asks for: see mediant_below. */
	int (*device_info)(void *state, unsigned int *regions, unsigned int *irqs,
			   unsigned int *can_reset);
	int (*region_info)(void *state, unsigned int region, unsigned long long *size,
			   unsigned int *flags);
	int (*irq_info)(void *state, unsigned int index, unsigned int *flags,
			unsigned int *count);
	int (*reset_device)(void *state);

	/*
	 * Migration: flags and states have the numbers of VFIO_MIGRATION_* and VFIO_DEVICE_STATE_*.
	 * Without flags nothing of this is called. migrate makes one arc, or as many as there are
	 * on the way; where it fails, migration_state tells where that ended. reset ends a
	 * migration from any state.
	 */
	unsigned long long migration_flags;
	unsigned int (*migration_state)(const void *state);
	int (*migrate)(void *state, unsigned int to);
	/*
	 * The next bytes of the state, fewer at the end of what there is now, or -errno, of which
	 * there is no way back to what was read before; and bytes of it that came from elsewhere,
	 * cut anywhere.
	 */
	long long (*read_migration)(void *state, unsigned char *bytes, unsigned int count);
	int (*write_migration)(void *state, const unsigned char *bytes, unsigned int count);
	/* Bytes that can be read ahead of the rest, and of all as far as is known. */
	unsigned long long (*migration_ahead)(const void *state);
	unsigned long long (*migration_size)(const void *state);
	void (*migration_report)(const void *state, struct mediant_stream_report *report);

	/*
	 * A log of what the device writes: see mediant_below. `ranges` may be written to; a report
	 * has at most MEDIANT_REPORT_WORDS words.
	 */
	int (*start_dma_logging)(void *state, unsigned long long page, struct mediant_range *ranges,
				 unsigned int count, unsigned long long *tracked);
	int (*stop_dma_logging)(void *state);
	int (*report_dma_logging)(void *state, unsigned long long iova, unsigned long long length,
				  unsigned long long page, unsigned long long *bits,
				  unsigned int words, unsigned int forgets);
};

/* The module's providers, most specific rule first; defined by the policy object. */
extern const struct mediant_provider *const mediant_providers[];
extern const unsigned int mediant_provider_count;

#ifdef __cplusplus
}
#endif

#endif /* MEDIANT_KERNEL_ABI_H */
