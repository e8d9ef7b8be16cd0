/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a careful engineer writes around the decision "which register": clamping at the region's end, splitting at
 * registers and into natural widths of at most 4 bytes, byte lanes, short counts, regions that pass.
 */
#ifndef MEDIANT_BENCHMARK_HAND_WRITTEN_H
#define MEDIANT_BENCHMARK_HAND_WRITTEN_H

#include "clamp_and_split.h"

struct hand_written {
    struct below below;
    uint32_t shadow[2048]; /* two in four registers have one */
};

static inline void *hand_written_make(void *device)
{
    struct hand_written *s = calloc(1, sizeof *s);
    if (s) open_below(&s->below, device);
    return s;
}

/* dword_read and dword_write answer 1 where the dword passes, 0 where they did it, or an error. */
#define HAND_WRITTEN_RW(suffix, dword_read, dword_write)                                                               \
    static int64_t read_##suffix(void *state, uint32_t region, uint64_t offset, uint8_t *bytes, size_t count)          \
    {                                                                                                                  \
        struct hand_written *s = state;                                                                                \
        const int64_t some = clamp(&s->below, region, offset, count);                                                  \
        size_t done = 0;                                                                                               \
        if (some <= 0) return some;                                                                                    \
        count = (size_t)some;                                                                                          \
        if (region != 0) return load(&s->below, region, offset, bytes, count);                                         \
        do {                                                                                                           \
            const uint64_t at = offset + done;                                                                         \
            const unsigned lane = at & 3;                                                                              \
            const size_t take = count - done < 4 - lane ? count - done : 4 - lane;                                     \
            uint32_t value = 0;                                                                                        \
            const int rc = dword_read(s, at - lane, &value);                                                           \
            if (rc == 0) {                                                                                             \
                put(bytes + done, value >> 8 * lane, take);                                                            \
            } else {                                                                                                   \
                const int64_t part = rc < 0 ? rc : load(&s->below, 0, at, bytes + done, take);                         \
                if (part < 0) return done ? (int64_t)done : part;                                                      \
                if ((size_t)part < take) return (int64_t)done + part;                                                  \
            }                                                                                                          \
            done += take;                                                                                              \
        } while (done < count);                                                                                        \
        return (int64_t)done;                                                                                          \
    }                                                                                                                  \
    static int64_t write_##suffix(void *state, uint32_t region, uint64_t offset, const uint8_t *bytes, size_t count)   \
    {                                                                                                                  \
        struct hand_written *s = state;                                                                                \
        const int64_t some = clamp(&s->below, region, offset, count);                                                  \
        size_t done = 0;                                                                                               \
        if (some <= 0) return some;                                                                                    \
        count = (size_t)some;                                                                                          \
        if (region != 0) return store(&s->below, region, offset, bytes, count);                                        \
        do {                                                                                                           \
            const uint64_t at = offset + done;                                                                         \
            const unsigned lane = at & 3;                                                                              \
            const size_t take = count - done < 4 - lane ? count - done : 4 - lane;                                     \
            const int rc = dword_write(s, at - lane, get(bytes + done, take) << 8 * lane,                              \
                                       0xffffffffu >> (32 - 8 * take) << 8 * lane);                                    \
            if (rc != 0) {                                                                                             \
                const int64_t part = rc < 0 ? rc : store(&s->below, 0, at, bytes + done, take);                        \
                if (part < 0) return done ? (int64_t)done : part;                                                      \
                if ((size_t)part < take) return (int64_t)done + part;                                                  \
            }                                                                                                          \
            done += take;                                                                                              \
        } while (done < count);                                                                                        \
        return (int64_t)done;                                                                                          \
    }

/* The treatments, as functions of the register's number or place. */
static inline uint32_t constant_of(uint64_t n) { return (uint32_t)(0xc0000000u + n); }

static inline int hook_read(struct hand_written *s, uint64_t offset, uint32_t *value)
{
    uint64_t wide;
    const int rc = device_load(s->below.device, 0, offset, 4, &wide);
    if (rc < 0) return rc;
    *value = (uint32_t)wide ^ 0x5a5a5a5au;
    return 0;
}

/* The function takes the whole register: what is not written stays as the device has it. */
static inline int hook_write(struct hand_written *s, uint64_t offset, uint32_t value, uint32_t mask)
{
    if (mask != 0xffffffffu) {
        uint64_t wide;
        const int rc = device_load(s->below.device, 0, offset, 4, &wide);
        if (rc < 0) return rc;
        value |= (uint32_t)wide & ~mask;
    }
    return device_store(s->below.device, 0, offset, 4, value ^ 0x5a5a5a5au);
}

#endif
