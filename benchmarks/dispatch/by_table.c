/* SPDX-License-Identifier: BSD-3-Clause */
/* Mediation by a table of function pointers, one pair a register, found by the offset. */
#include "hand_written.h"

struct handler {
    int (*read)(struct hand_written *s, uint64_t offset, uint32_t *value);
    int (*write)(struct hand_written *s, uint64_t offset, uint32_t value, uint32_t mask);
};

static int read_constant(struct hand_written *s, uint64_t offset, uint32_t *value)
{
    (void)s;
    *value = constant_of(offset / 4);
    return 0;
}
static int write_ignored(struct hand_written *s, uint64_t offset, uint32_t value, uint32_t mask)
{
    (void)s, (void)offset, (void)value, (void)mask;
    return 0;
}
static int read_shadow(struct hand_written *s, uint64_t offset, uint32_t *value)
{
    *value = s->shadow[offset / 16 * 2 + offset / 8 % 2];
    return 0;
}
static int write_shadow(struct hand_written *s, uint64_t offset, uint32_t value, uint32_t mask)
{
    uint32_t *shadow = &s->shadow[offset / 16 * 2 + offset / 8 % 2];
    *shadow = (*shadow & ~mask) | value;
    return 0;
}
static int write_cleared(struct hand_written *s, uint64_t offset, uint32_t value, uint32_t mask)
{
    (void)mask;
    s->shadow[offset / 16 * 2 + offset / 8 % 2] &= ~value;
    return 0;
}

/* One table serves each size: the registers repeat every 16 bytes, but each has its entry. */
static struct handler handlers[4096];

__attribute__((constructor)) static void fill(void)
{
    static const struct handler four[4] = {
        {read_constant, write_ignored},
        {read_shadow, write_shadow},
        {read_shadow, write_cleared},
        {hook_read, hook_write},
    };
    for (unsigned i = 0; i < 4096; ++i) handlers[i] = four[i % 4];
}

#define BY_TABLE(registers)                                                                                            \
    static inline int table_read_##registers(struct hand_written *s, uint64_t offset, uint32_t *value)                 \
    {                                                                                                                  \
        return offset < 4 * (registers) ? handlers[offset / 4].read(s, offset, value) : 1;                             \
    }                                                                                                                  \
    static inline int table_write_##registers(struct hand_written *s, uint64_t offset, uint32_t value, uint32_t mask)  \
    {                                                                                                                  \
        return offset < 4 * (registers) ? handlers[offset / 4].write(s, offset, value, mask) : 1;                      \
    }                                                                                                                  \
    HAND_WRITTEN_RW(registers, table_read_##registers, table_write_##registers)

BY_TABLE(8)
BY_TABLE(64)
BY_TABLE(512)
BY_TABLE(4096)

const struct contender by_table[4] = {
    {"table of function pointers", 8, read_8, write_8, hand_written_make},
    {"table of function pointers", 64, read_64, write_64, hand_written_make},
    {"table of function pointers", 512, read_512, write_512, hand_written_make},
    {"table of function pointers", 4096, read_4096, write_4096, hand_written_make},
};
