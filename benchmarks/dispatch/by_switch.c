/* SPDX-License-Identifier: BSD-3-Clause */
/* Mediation as it is usually written: a switch over the offset, one case a register. */
#include "hand_written.h"

#define R1(n)                                                                                                          \
    case 16 * (n) + 0: *value = constant_of(4 * (n)); return 0;                                                        \
    case 16 * (n) + 4: *value = s->shadow[2 * (n)]; return 0;                                                          \
    case 16 * (n) + 8: *value = s->shadow[2 * (n) + 1]; return 0;                                                      \
    case 16 * (n) + 12: return hook_read(s, 16 * (n) + 12, value);
#define W1(n)                                                                                                          \
    case 16 * (n) + 0: return 0;                                                                                       \
    case 16 * (n) + 4: s->shadow[2 * (n)] = (s->shadow[2 * (n)] & ~mask) | value; return 0;                            \
    case 16 * (n) + 8: s->shadow[2 * (n) + 1] &= ~value; return 0;                                                     \
    case 16 * (n) + 12: return hook_write(s, 16 * (n) + 12, value, mask);
#define X2(X, n) X(n) X((n) + 1)
#define R2(n) X2(R1, n)
#define W2(n) X2(W1, n)
#define X4(X, n) X(n) X((n) + 2)
#define R4(n) X4(R2, n)
#define W4(n) X4(W2, n)
#define X16(X, n) X(n) X((n) + 4) X((n) + 8) X((n) + 12)
#define R16(n) X16(R4, n)
#define W16(n) X16(W4, n)
#define X128(X, n) X(n) X((n) + 16) X((n) + 32) X((n) + 48) X((n) + 64) X((n) + 80) X((n) + 96) X((n) + 112)
#define R128(n) X128(R16, n)
#define W128(n) X128(W16, n)
#define R1024(n) R128(n) R128((n) + 128) R128((n) + 256) R128((n) + 384) R128((n) + 512) R128((n) + 640)             \
    R128((n) + 768) R128((n) + 896)
#define W1024(n) W128(n) W128((n) + 128) W128((n) + 256) W128((n) + 384) W128((n) + 512) W128((n) + 640)             \
    W128((n) + 768) W128((n) + 896)

#define BY_SWITCH(registers, READS, WRITES)                                                                            \
    static inline int switch_read_##registers(struct hand_written *s, uint64_t offset, uint32_t *value)                \
    {                                                                                                                  \
        switch (offset) {                                                                                              \
            READS(0)                                                                                                   \
        default: return 1;                                                                                             \
        }                                                                                                              \
    }                                                                                                                  \
    static inline int switch_write_##registers(struct hand_written *s, uint64_t offset, uint32_t value, uint32_t mask) \
    {                                                                                                                  \
        switch (offset) {                                                                                              \
            WRITES(0)                                                                                                  \
        default: return 1;                                                                                             \
        }                                                                                                              \
    }                                                                                                                  \
    HAND_WRITTEN_RW(registers, switch_read_##registers, switch_write_##registers)

BY_SWITCH(8, R2, W2)
BY_SWITCH(64, R16, W16)
BY_SWITCH(512, R128, W128)
BY_SWITCH(4096, R1024, W1024)

const struct contender by_switch[4] = {
    {"switch", 8, read_8, write_8, hand_written_make},
    {"switch", 64, read_64, write_64, hand_written_make},
    {"switch", 512, read_512, write_512, hand_written_make},
    {"switch", 4096, read_4096, write_4096, hand_written_make},
};
