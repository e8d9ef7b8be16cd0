/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a careful engineer writes around the decision "which register": clamping at the region's end, splitting
 * into natural widths of at most 4 bytes, byte lanes, short counts.
 */
#ifndef MEDIANT_BENCHMARK_HAND_WRITTEN_H
#define MEDIANT_BENCHMARK_HAND_WRITTEN_H

#include "device.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct hand_written {
    void *device;
    uint32_t shadow[2048]; /* two in four registers have one */
};

static inline unsigned natural(uint64_t offset, size_t left)
{
    if (left >= 4 && offset % 4 == 0) return 4;
    if (left >= 2 && offset % 2 == 0) return 2;
    return 1;
}

static inline uint32_t lanes_mask(unsigned shift, unsigned width)
{
    return (width == 4 ? 0xffffffffu : (1u << (8 * width)) - 1) << shift;
}

static inline void *hand_written_make(void *device)
{
    struct hand_written *s = calloc(1, sizeof *s);
    if (s) s->device = device;
    return s;
}

/* dword_read answers 1 where the dword passes, 0 where it gave a value, or an error. */
#define HAND_WRITTEN_RW(suffix, dword_read, dword_write)                                                               \
    static int64_t read_##suffix(void *state, uint32_t region, uint64_t offset, uint8_t *bytes, size_t count)          \
    {                                                                                                                  \
        struct hand_written *s = state;                                                                                \
        size_t done = 0;                                                                                               \
        if (region != 0 || offset >= DEVICE_SIZE) return -EINVAL;                                                      \
        if (count > DEVICE_SIZE - offset) count = DEVICE_SIZE - offset;                                                \
        while (done < count) {                                                                                         \
            const uint64_t at = offset + done;                                                                         \
            const unsigned width = natural(at, count - done);                                                          \
            const unsigned shift = 8 * (unsigned)(at & 3);                                                             \
            uint32_t value = 0;                                                                                        \
            int rc = dword_read(s, at & ~(uint64_t)3, &value);                                                         \
            if (rc == 1) {                                                                                             \
                uint64_t wide;                                                                                         \
                rc = device_load(s->device, region, at, width, &wide);                                                 \
                value = (uint32_t)wide;                                                                                \
            } else {                                                                                                   \
                value >>= shift;                                                                                       \
            }                                                                                                          \
            if (rc < 0) return done ? (int64_t)done : rc;                                                              \
            switch (width) {                                                                                           \
            case 4: memcpy(bytes + done, &value, 4); break;                                                            \
            case 2: memcpy(bytes + done, &value, 2); break;                                                            \
            default: bytes[done] = (uint8_t)value;                                                                     \
            }                                                                                                          \
            done += width;                                                                                             \
        }                                                                                                              \
        return (int64_t)done;                                                                                          \
    }                                                                                                                  \
    static int64_t write_##suffix(void *state, uint32_t region, uint64_t offset, const uint8_t *bytes, size_t count)   \
    {                                                                                                                  \
        struct hand_written *s = state;                                                                                \
        size_t done = 0;                                                                                               \
        if (region != 0 || offset >= DEVICE_SIZE) return -EINVAL;                                                      \
        if (count > DEVICE_SIZE - offset) count = DEVICE_SIZE - offset;                                                \
        while (done < count) {                                                                                         \
            const uint64_t at = offset + done;                                                                         \
            const unsigned width = natural(at, count - done);                                                          \
            const unsigned shift = 8 * (unsigned)(at & 3);                                                             \
            uint32_t value = 0;                                                                                        \
            int rc;                                                                                                    \
            switch (width) {                                                                                           \
            case 4: memcpy(&value, bytes + done, 4); break;                                                            \
            case 2: memcpy(&value, bytes + done, 2); break;                                                            \
            default: value = bytes[done];                                                                              \
            }                                                                                                          \
            rc = dword_write(s, at & ~(uint64_t)3, value << shift, lanes_mask(shift, width));                          \
            if (rc == 1) rc = device_store(s->device, region, at, width, value);                                       \
            if (rc < 0) return done ? (int64_t)done : rc;                                                              \
            done += width;                                                                                             \
        }                                                                                                              \
        return (int64_t)done;                                                                                          \
    }

/* The four treatments, as functions of the register's number. */
static inline uint32_t constant_of(uint64_t n) { return (uint32_t)(0xc0000000u + n); }

static inline int hook_read(struct hand_written *s, uint64_t offset, uint32_t *value)
{
    uint64_t wide;
    const int rc = device_load(s->device, 0, offset, 4, &wide);
    if (rc < 0) return rc;
    *value = (uint32_t)wide ^ 0x5a5a5a5au;
    return 0;
}

#endif
