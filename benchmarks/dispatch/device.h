/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What all ways of mediation in this benchmark share: the device below, in a file of its own so that no compiler
 * can look into it, and the shape of an access. In region 0, the register file has COUNT registers of 32 bits from 0
 * on, of which each fourth is a constant, a shadow, a shadow that is cleared by ones, and a register of the device
 * that is read and written through a function; from 0x8000 on accesses pass. Region 2 passes as a whole, and the
 * device has no other.
 */
#ifndef MEDIANT_BENCHMARK_DEVICE_H
#define MEDIANT_BENCHMARK_DEVICE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { DEVICE_SIZE = 0x10000, DEVICE_REGIONS = 9, DEVICE_MEMORY = 2 * DEVICE_SIZE };

/* The bytes of a region, known only when the device is opened. Both lie in the memory that a device is made of. */
uint64_t device_region_size(void *device, uint32_t region);

/* One natural access of up to 4 bytes; 0 or a negative errno number. */
int device_load(void *device, uint32_t region, uint64_t offset, unsigned width, uint64_t *value);
int device_store(void *device, uint32_t region, uint64_t offset, unsigned width, uint64_t value);

/* For the comparison of all ways, where not null: what reached the device, in order; some accesses then fail. */
extern uint64_t *device_watch;

/* The number of bytes done, or a negative errno number where none was. */
typedef int64_t (*read_function)(void *state, uint32_t region, uint64_t offset, uint8_t *bytes, size_t count);
typedef int64_t (*write_function)(void *state, uint32_t region, uint64_t offset, const uint8_t *bytes, size_t count);

/* One way of mediation, for one number of registers. */
struct contender {
    const char *name;
    unsigned registers;
    read_function read;
    write_function write;
    void *(*make)(void *device);
};

extern const struct contender by_switch[4];
extern const struct contender by_table[4];
extern const struct contender by_mediant[4];
/* No mediation: the device, with the same clamping, splitting and errors. */
extern const struct contender straight;

#ifdef __cplusplus
}
#endif

#endif
