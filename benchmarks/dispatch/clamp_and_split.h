/* SPDX-License-Identifier: BSD-3-Clause */
/* What stands between a user and the device with or without mediation: sizes, and splitting into natural widths. */
#ifndef MEDIANT_BENCHMARK_CLAMP_AND_SPLIT_H
#define MEDIANT_BENCHMARK_CLAMP_AND_SPLIT_H

#include "device.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct below {
    void *device;
    uint64_t sizes[DEVICE_REGIONS]; /* as the device said when it was opened */
};

static inline void open_below(struct below *b, void *device)
{
    b->device = device;
    for (uint32_t i = 0; i < DEVICE_REGIONS; ++i) b->sizes[i] = device_region_size(device, i);
}

/* How many bytes of an access lie in the region; 0 or a negative errno number where there is nothing to do. */
static inline int64_t clamp(const struct below *b, uint32_t region, uint64_t offset, size_t count)
{
    if (count == 0) return 0;
    if (region >= DEVICE_REGIONS || offset >= b->sizes[region]) return -EINVAL;
    return (int64_t)(count < b->sizes[region] - offset ? count : b->sizes[region] - offset);
}

/* The low bytes of a value from and to memory, 1 to 4. */
static inline uint32_t get(const uint8_t *bytes, size_t count)
{
    uint32_t word;
    uint16_t half;
    switch (count) {
    case 4: memcpy(&word, bytes, 4); return word;
    case 2: memcpy(&half, bytes, 2); return half;
    case 1: return bytes[0];
    default: memcpy(&half, bytes, 2); return half | (uint32_t)bytes[2] << 16;
    }
}
static inline void put(uint8_t *bytes, uint32_t value, size_t count)
{
    switch (count) {
    case 4: memcpy(bytes, &value, 4); return;
    case 2: memcpy(bytes, &value, 2); return;
    case 1: bytes[0] = (uint8_t)value; return;
    default: memcpy(bytes, &value, 2); bytes[2] = (uint8_t)(value >> 16); return;
    }
}

static inline int is_natural(uint64_t offset, size_t count)
{
    return count - 1 < 4 && (count & (count - 1)) == 0 && (offset & (count - 1)) == 0;
}
static inline unsigned natural(uint64_t offset, size_t left)
{
    if (left >= 4 && offset % 4 == 0) return 4;
    if (left >= 2 && offset % 2 == 0) return 2;
    return 1;
}

/* The usual access is one that the device takes as it is; the rest is out of its way. */
static __attribute__((noinline)) int64_t load_split(const struct below *b, uint32_t region, uint64_t offset,
                                                    uint8_t *bytes, size_t count)
{
    size_t done = 0;
    while (done < count) {
        const unsigned width = natural(offset + done, count - done);
        uint64_t value;
        const int rc = device_load(b->device, region, offset + done, width, &value);
        if (rc < 0) return done ? (int64_t)done : rc;
        put(bytes + done, (uint32_t)value, width);
        done += width;
    }
    return (int64_t)done;
}
static inline int64_t load(const struct below *b, uint32_t region, uint64_t offset, uint8_t *bytes, size_t count)
{
    uint64_t value;
    int rc;
    if (!is_natural(offset, count)) return load_split(b, region, offset, bytes, count);
    rc = device_load(b->device, region, offset, (unsigned)count, &value);
    if (rc < 0) return rc;
    put(bytes, (uint32_t)value, count);
    return (int64_t)count;
}

static __attribute__((noinline)) int64_t store_split(const struct below *b, uint32_t region, uint64_t offset,
                                                     const uint8_t *bytes, size_t count)
{
    size_t done = 0;
    while (done < count) {
        const unsigned width = natural(offset + done, count - done);
        const int rc = device_store(b->device, region, offset + done, width, get(bytes + done, width));
        if (rc < 0) return done ? (int64_t)done : rc;
        done += width;
    }
    return (int64_t)done;
}
static inline int64_t store(const struct below *b, uint32_t region, uint64_t offset, const uint8_t *bytes, size_t count)
{
    int rc;
    if (!is_natural(offset, count)) return store_split(b, region, offset, bytes, count);
    rc = device_store(b->device, region, offset, (unsigned)count, get(bytes, count));
    return rc < 0 ? rc : (int64_t)count;
}

#endif
