/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * What happens to a user's access to a BAR that holds a trap, and what a policy does to the device
 * below. The events are found in tracefs under the module's name.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM MEDIANT_TRACE_SYSTEM

#if !defined(MEDIANT_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define MEDIANT_TRACE_H

#include <linux/pci.h>
#include <linux/tracepoint.h>

/*
 * A part of a user's access. The value is the first 8 bytes of what is trapped, or of what passes
 * to configuration space and is observed, in CPU order.
 */
TRACE_EVENT(mediant_access,
	TP_PROTO(struct pci_dev *pdev, unsigned int region, u64 offset, size_t count, bool write,
		 bool trapped, u64 value, ssize_t result),
	TP_ARGS(pdev, region, offset, count, write, trapped, value, result),
	TP_STRUCT__entry(
		__field(int, domain)
		__field(u32, address)
		__field(unsigned int, region)
		__field(u64, offset)
		__field(size_t, count)
		__field(bool, write)
		__field(bool, trapped)
		__field(u64, value)
		__field(ssize_t, result)
	),
	TP_fast_assign(
		__entry->domain = pci_domain_nr(pdev->bus);
		__entry->address = PCI_DEVID(pdev->bus->number, pdev->devfn);
		__entry->region = region;
		__entry->offset = offset;
		__entry->count = count;
		__entry->write = write;
		__entry->trapped = trapped;
		__entry->value = value;
		__entry->result = result;
	),
	TP_printk("%04x:%02x:%02x.%x region=%u offset=0x%llx count=%zu %s %s value=0x%llx result=%zd",
		  __entry->domain, PCI_BUS_NUM(__entry->address), PCI_SLOT(__entry->address),
		  PCI_FUNC(__entry->address), __entry->region, __entry->offset, __entry->count,
		  __entry->write ? "write" : "read", __entry->trapped ? "trapped" : "passed",
		  __entry->value, __entry->result)
);

/* A load or store by a policy. */
TRACE_EVENT(mediant_below,
	TP_PROTO(struct pci_dev *pdev, unsigned int region, u64 offset, unsigned int width,
		 bool store, u64 value, int result),
	TP_ARGS(pdev, region, offset, width, store, value, result),
	TP_STRUCT__entry(
		__field(int, domain)
		__field(u32, address)
		__field(unsigned int, region)
		__field(u64, offset)
		__field(unsigned int, width)
		__field(bool, store)
		__field(u64, value)
		__field(int, result)
	),
	TP_fast_assign(
		__entry->domain = pci_domain_nr(pdev->bus);
		__entry->address = PCI_DEVID(pdev->bus->number, pdev->devfn);
		__entry->region = region;
		__entry->offset = offset;
		__entry->width = width;
		__entry->store = store;
		__entry->value = value;
		__entry->result = result;
	),
	TP_printk("%04x:%02x:%02x.%x region=%u offset=0x%llx width=%u %s value=0x%llx result=%d",
		  __entry->domain, PCI_BUS_NUM(__entry->address), PCI_SLOT(__entry->address),
		  PCI_FUNC(__entry->address), __entry->region, __entry->offset, __entry->width,
		  __entry->store ? "store" : "load", __entry->value, __entry->result)
);

#endif /* MEDIANT_TRACE_H */

#undef TRACE_INCLUDE_PATH
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_PATH .
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
