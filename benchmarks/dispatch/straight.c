/* SPDX-License-Identifier: BSD-3-Clause */
/* No mediation at all: what passing through mediant is compared with. */
#include "clamp_and_split.h"

static int64_t read_straight(void *state, uint32_t region, uint64_t offset, uint8_t *bytes, size_t count)
{
    const struct below *b = state;
    const int64_t some = clamp(b, region, offset, count);
    return some <= 0 ? some : load(b, region, offset, bytes, (size_t)some);
}
static int64_t write_straight(void *state, uint32_t region, uint64_t offset, const uint8_t *bytes, size_t count)
{
    const struct below *b = state;
    const int64_t some = clamp(b, region, offset, count);
    return some <= 0 ? some : store(b, region, offset, bytes, (size_t)some);
}
static void *make(void *device)
{
    struct below *b = malloc(sizeof *b);
    if (b) open_below(b, device);
    return b;
}

const struct contender straight = {"the device itself", 0, read_straight, write_straight, make};
