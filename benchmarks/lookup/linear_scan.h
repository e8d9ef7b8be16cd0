/* SPDX-License-Identifier: BSD-3-Clause */
/* A table of IDs and its look-up as the PCI core has them: struct pci_device_id and pci_match_id() of Linux. */
#ifndef MEDIANT_BENCHMARK_LINEAR_SCAN_H
#define MEDIANT_BENCHMARK_LINEAR_SCAN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct linear_id {
    uint32_t vendor, device, subvendor, subdevice;
    uint32_t class_code, class_mask;
    unsigned long driver_data; /* here: 1 + the provider's number */
    uint32_t override_only;
};

struct linear_device {
    uint32_t vendor, device, subvendor, subdevice, class_code;
};

/* The first entry that matches; the table ends with an entry of zeros. */
const struct linear_id *linear_scan(const struct linear_id *ids, const struct linear_device *device);

#ifdef __cplusplus
}
#endif

#endif
