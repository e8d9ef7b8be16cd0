/* SPDX-License-Identifier: BSD-3-Clause */
#include "device.h"

#include <errno.h>
#include <string.h>

uint64_t *device_watch;

static __attribute__((noinline, cold)) int watched(uint64_t kind, uint32_t region, uint64_t offset, unsigned width, uint64_t value)
{
    const uint64_t all[5] = {kind, region, offset, width, value};
    for (int i = 0; i < 5; ++i) *device_watch = (*device_watch ^ all[i]) * 0x9e3779b97f4a7c15u + 1;
    return offset / 4 % 23 == 7 ? -EIO : 0;
}

uint64_t device_region_size(void *device, uint32_t region)
{
    (void)device;
    return region == 0 || region == 2 ? DEVICE_SIZE : 0;
}

int device_load(void *device, uint32_t region, uint64_t offset, unsigned width, uint64_t *value)
{
    const uint8_t *at = (const uint8_t *)device + region / 2 * DEVICE_SIZE + offset;
    uint16_t half;
    uint32_t word;
    if (__builtin_expect(!!device_watch, 0) && watched(1, region, offset, width, 0) < 0) return -EIO;
    switch (width) {
    case 1: *value = *at; return 0;
    case 2: memcpy(&half, at, 2); *value = half; return 0;
    default: memcpy(&word, at, 4); *value = word; return 0;
    }
}

int device_store(void *device, uint32_t region, uint64_t offset, unsigned width, uint64_t value)
{
    uint8_t *at = (uint8_t *)device + region / 2 * DEVICE_SIZE + offset;
    if (__builtin_expect(!!device_watch, 0) && watched(2, region, offset, width, value) < 0) return -EIO;
    switch (width) {
    case 1: memcpy(at, &value, 1); return 0;
    case 2: memcpy(at, &value, 2); return 0;
    default: memcpy(at, &value, 4); return 0;
    }
}
