// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// A provider as BPF, in C, as small as one can be. With a definition it is another, or one with a mistake: NAME,
/// VERSION, IDENTITY, RULES, VALUE_ADDED, TWICE, NO_LINK, OTHER_TYPE, NO_OPS, OUT_OF_BOUNDS, LONG_LOG.

#include <mediant/kernel/bpf.h>

#ifndef NAME
#define NAME "edu"
#endif
#ifndef VERSION
#define VERSION MEDIANT_BPF_VERSION
#endif
#ifndef IDENTITY
#define IDENTITY 0x1234567890abcdefull
#endif
#ifndef VALUE_ADDED
#define VALUE_ADDED 0
#endif
#ifndef RULES
#define RULES 2u
#endif

unsigned char *mediant_bpf_state(struct mediant_bpf_call *call, const unsigned long rdwr_buf_size)
    __attribute__((section(".ksyms")));

char terms[] __attribute__((section("license"))) = "GPL";

/* The state is one counter, of which BAR 0 shows the value. */
__attribute__((section("struct_ops.s/edu_open"))) int edu_open(unsigned long long *context) {
    (void)context;
    return 0;
}

__attribute__((section("struct_ops.s/edu_release"))) int edu_release(unsigned long long *context) {
    (void)context;
    return 0;
}

__attribute__((section("struct_ops.s/edu_reset"))) int edu_reset(unsigned long long *context) {
    (void)context;
    return 0;
}

__attribute__((section("struct_ops.s/edu_read"))) int edu_read(unsigned long long *context) {
    struct mediant_bpf_call *call = (struct mediant_bpf_call *)context[0];
    unsigned char *state = mediant_bpf_state(call, 8);
    unsigned int size = (unsigned int)context[3];

    if (!state) return -5;
#ifdef LONG_LOG /* more lines than a first buffer takes, then a mistake */
    volatile unsigned long long sum = 0;
#pragma unroll
    for (unsigned int i = 0; i < 2000; ++i) sum += i;
#endif
#ifdef OUT_OF_BOUNDS
    call->value = state[context[2]];
#else
    call->value = *(unsigned long long *)state + VALUE_ADDED;
#endif
    return size > 8 ? 8 : (int)size;
}

__attribute__((section("struct_ops.s/edu_write"))) int edu_write(unsigned long long *context) {
    struct mediant_bpf_call *call = (struct mediant_bpf_call *)context[0];
    unsigned char *state = mediant_bpf_state(call, 8);
    unsigned int size = (unsigned int)context[3];

    if (!state) return -5;
    *(unsigned long long *)state = context[4];
    return size > 8 ? 8 : (int)size;
}

#ifdef OTHER_TYPE
struct other_ops {
    int (*open)(struct mediant_bpf_call *call);
};
__attribute__((section(".struct_ops.link"))) struct other_ops edu = {.open = (void *)edu_open};
#elif !defined(NO_OPS)
#ifdef NO_LINK
__attribute__((section(".struct_ops")))
#else
__attribute__((section(".struct_ops.link")))
#endif
struct mediant_bpf_ops edu = {
    .open = (void *)edu_open,
    .release = (void *)edu_release,
    .reset = (void *)edu_reset,
    .read = (void *)edu_read,
    .write = (void *)edu_write,
    .version = VERSION,
    .state_size = 8,
    .identity = IDENTITY,
    .rule_count = RULES,
    .range_count = 2,
    .name = NAME,
    .rules = {{0x1234, 0x11e8, MEDIANT_ANY, MEDIANT_ANY, 0, 0}, {0x1234, 0x11e9, 0x1af4, 0x1100, 0x020000, 0xffff00}},
    .ranges = {{.offset = 0, .size = 4, .region = 0}, {.offset = 0x28, .size = 8, .region = 0}},
};
#ifdef TWICE
__attribute__((section(".struct_ops.link"))) struct mediant_bpf_ops second = {.open = (void *)edu_open, .name = "two"};
#endif
#endif
