/* SPDX-License-Identifier: BSD-3-Clause */
#include "device.h"

#include <string.h>

int device_load(void *device, uint32_t region, uint64_t offset, unsigned width, uint64_t *value)
{
    const uint8_t *at = (const uint8_t *)device + offset % DEVICE_SIZE;
    uint16_t half;
    uint32_t word;
    (void)region;
    switch (width) {
    case 1: *value = *at; return 0;
    case 2: memcpy(&half, at, 2); *value = half; return 0;
    default: memcpy(&word, at, 4); *value = word; return 0;
    }
}

int device_store(void *device, uint32_t region, uint64_t offset, unsigned width, uint64_t value)
{
    uint8_t *at = (uint8_t *)device + offset % DEVICE_SIZE;
    (void)region;
    switch (width) {
    case 1: memcpy(at, &value, 1); return 0;
    case 2: memcpy(at, &value, 2); return 0;
    default: memcpy(at, &value, 4); return 0;
    }
}
