/* SPDX-License-Identifier: BSD-3-Clause */
/* What edu.bpf.c has of BAR 0, for it and for who tests it. */
#ifndef MEDIANT_TESTS_GUEST_BPF_REGISTERS_H
#define MEDIANT_TESTS_GUEST_BPF_REGISTERS_H

enum {
    REG_IDENT = 0x00,      /* the hardware's, marked */
    REG_LIVE = 0x04,       /* the hardware's: reads as the inverse of what was written */
    REG_COUNT = 0x08,      /* how often it was written; each time LIVE gets the value */
    REG_SHADOW = 0x10,     /* 8 bytes that exist only here, 0 after a reset */
    REG_RESETS = 0x18,     /* how many resets there were */
    REG_WITHIN = 0x1c,     /* with which errno a load failed within the last */
    REG_ODD = 0x20,        /* what was written is how reading goes wrong, see there */
    REG_GENERATION = 0x24, /* of the object */
    REG_BLOCK = 0x80,      /* 32 bytes that exist only here */
    REG_BLOCK_SIZE = 0x20,
    REG_HIDDEN = 0x40000,  /* a page: reads as ones */
    REG_HIDDEN_SIZE = 0x1000,
};

/* Generations that go wrong: of a log's text, of a region's size, at a reset, at GET_INFO, at open. */
enum { LOGS_ODDLY = 93, BOUNDLESS = 94, RESETS_NOT = 95, ANSWERS_ODDLY = 96, DECLINES = 97, FAILS = 98, OPENS_ODDLY = 99 };

enum { ODD_NOT, ODD_NONE_DONE, ODD_TOO_MUCH, ODD_RESTARTS, ODD_NO_ERROR, ODD_ERROR };

#endif
