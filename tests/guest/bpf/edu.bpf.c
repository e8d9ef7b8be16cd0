// SPDX-License-Identifier: BSD-3-Clause
//
// A provider of QEMU's edu device by hand, as a BPF object: registers of each kind, one that goes wrong when told to,
// and requests that are answered from below.

#include "calls.h"
#include "registers.h"

struct state {
    unsigned long long shadow;
    unsigned int count, resets, within, odd;
    unsigned char block[REG_BLOCK_SIZE];
};

const volatile unsigned int generation = 1; // set before the object is loaded

/// The bytes of a register of `width` bytes at `at` that an access begins with.
static __always_inline int part_of(struct mediant_bpf_call* call, unsigned long long value, unsigned int at,
                                   unsigned int width, unsigned long long offset, unsigned int size) {
    const unsigned int lane = (unsigned int)(offset - at) & 7;
    call->value = value >> (8 * lane);
    return (int)(size < width - lane ? size : width - lane);
}

SEC("struct_ops.s/open")
int BPF_PROG(edu_open, struct mediant_bpf_call* call) {
    struct mediant_bpf_numbers numbers = {.count = 2};
    unsigned long long ident = 0;
    const int failed = mediant_bpf_load(call, 0, REG_IDENT, 4, &ident);
    if (failed) return failed;
    if (generation == DECLINES) return -ENODEV;
    if (generation == FAILS) return -EPERM;
    if (generation == OPENS_ODDLY) return 5;
    numbers.values[0] = ident;
    numbers.values[1] = generation;
    if (generation == LOGS_ODDLY) mediant_bpf_log(call, "a line\nBUG: another one", &numbers);
    mediant_bpf_log(call, "a BPF provider opens", &numbers);
    return (ident & 0xffff) == 0xed ? 0 : -ENODEV;
}

SEC("struct_ops.s/release")
int BPF_PROG(edu_release, struct mediant_bpf_call* call) {
    struct mediant_bpf_numbers numbers = {.count = 1, .values = {generation}};
    mediant_bpf_log(call, "a BPF provider closes", &numbers);
    return 0;
}

SEC("struct_ops.s/reset")
int BPF_PROG(edu_reset, struct mediant_bpf_call* call) {
    struct state* const state = (struct state*)mediant_bpf_state(call, sizeof *state);
    unsigned long long value = 0;
    if (!state || generation == RESETS_NOT) return -EIO;
    state->within = (unsigned int)-mediant_bpf_load(call, 0, REG_IDENT, 4, &value);
    state->shadow = 0;
    ++state->resets;
    return 0;
}

SEC("struct_ops.s/read")
int BPF_PROG(edu_read, struct mediant_bpf_call* call, unsigned int region, unsigned long long offset,
             unsigned int size) {
    struct state* const state = (struct state*)mediant_bpf_state(call, sizeof *state);
    unsigned long long value = 0;
    if (!state || region != 0) return -EIO;
    if (offset < REG_IDENT + 4) {
        const int failed = mediant_bpf_load(call, 0, REG_IDENT, 4, &value);
        return failed ? failed : part_of(call, value | 0xbf0000, REG_IDENT, 4, offset, size);
    }
    if (offset < REG_COUNT + 4) return part_of(call, state->count, REG_COUNT, 4, offset, size);
    if (offset < REG_SHADOW + 8) return part_of(call, state->shadow, REG_SHADOW, 8, offset, size);
    if (offset < REG_RESETS + 4) return part_of(call, state->resets, REG_RESETS, 4, offset, size);
    if (offset < REG_WITHIN + 4) return part_of(call, state->within, REG_WITHIN, 4, offset, size);
    if (offset < REG_ODD + 4) {
        switch (state->odd) {
        case ODD_NONE_DONE: return 0;
        case ODD_TOO_MUCH: return (int)size + 1;
        case ODD_RESTARTS: return -512; // ERESTARTSYS, the kernel's own
        case ODD_NO_ERROR: return -5000;
        case ODD_ERROR: return -EPERM;
        default: return part_of(call, 0x0dd, REG_ODD, 4, offset, size);
        }
    }
    if (offset < REG_GENERATION + 4) return part_of(call, generation, REG_GENERATION, 4, offset, size);
    const unsigned long long at = offset - REG_BLOCK;
    if (at < REG_BLOCK_SIZE) {
        call->value = state->block[at];
        return 1;
    }
    call->value = ~0ull;
    return (int)size;
}

SEC("struct_ops.s/write")
int BPF_PROG(edu_write, struct mediant_bpf_call* call, unsigned int region, unsigned long long offset,
             unsigned int size, unsigned long long value) {
    struct state* const state = (struct state*)mediant_bpf_state(call, sizeof *state);
    if (!state || region != 0) return -EIO;
    if (offset == REG_COUNT && size >= 4) {
        ++state->count;
        const int failed = mediant_bpf_store(call, 0, REG_LIVE, 4, value & 0xffffffff);
        if (!failed) return 4;
        --state->count;
        return failed;
    }
    if (offset == REG_SHADOW && size == 8) {
        state->shadow = value;
        return 8;
    }
    if (offset == REG_ODD && size >= 4) {
        state->odd = (unsigned int)value;
        return 4;
    }
    const unsigned long long at = offset - REG_BLOCK;
    if (at < REG_BLOCK_SIZE) {
        state->block[at] = (unsigned char)value;
        return 1;
    }
    return (int)size; // swallowed
}

SEC("struct_ops.s/device_info")
int BPF_PROG(edu_device_info, struct mediant_bpf_call* call) {
    struct mediant_bpf_answer answer = {};
    const int failed = mediant_bpf_ask(call, MEDIANT_DEVICE_INFO, 0, &answer);
    call->answers[0] = answer.values[0];
    call->answers[1] = answer.values[1];
    call->answers[2] = answer.values[2];
    if (generation == ANSWERS_ODDLY) call->answers[1] = 1ull << 32; // more than there is room for
    return failed;
}

SEC("struct_ops.s/region_info")
int BPF_PROG(edu_region_info, struct mediant_bpf_call* call, unsigned int region) {
    struct mediant_bpf_answer answer = {};
    const int failed = mediant_bpf_ask(call, MEDIANT_REGION_INFO, region, &answer);
    call->answers[0] = answer.values[0];
    call->answers[1] = answer.values[1];
    if (generation == BOUNDLESS && region == 0) call->answers[0] = ~0ull;
    return failed;
}

SEC("struct_ops.s/irq_info")
int BPF_PROG(edu_irq_info, struct mediant_bpf_call* call, unsigned int index) {
    struct mediant_bpf_answer answer = {};
    const int failed = mediant_bpf_ask(call, MEDIANT_IRQ_INFO, index, &answer);
    call->answers[0] = answer.values[0];
    call->answers[1] = index == 1 ? 0 : answer.values[1]; // no MSI
    return failed;
}

SEC("struct_ops.s/reset_device")
int BPF_PROG(edu_reset_device, struct mediant_bpf_call* call) { return mediant_bpf_reset_device(call); }

SEC(".struct_ops.link")
struct mediant_bpf_ops edu = {
    .open = (void*)edu_open,
    .release = (void*)edu_release,
    .reset = (void*)edu_reset,
    .read = (void*)edu_read,
    .write = (void*)edu_write,
    .device_info = (void*)edu_device_info,
    .region_info = (void*)edu_region_info,
    .irq_info = (void*)edu_irq_info,
    .reset_device = (void*)edu_reset_device,
    .version = MEDIANT_BPF_VERSION,
    .state_size = sizeof(struct state),
    .identity = 0xed0123456789abcd,
    .mediates = MEDIANT_DEVICE_INFO | MEDIANT_REGION_INFO | MEDIANT_IRQ_INFO | MEDIANT_RESET_DEVICE,
    .rule_count = 1,
    .range_count = 5,
    .name = "edu",
    .rules = {{0x1234, 0x11e8, MEDIANT_ANY, MEDIANT_ANY, 0, 0}},
    .ranges = {{REG_IDENT, 4, 0, 0},
               {REG_COUNT, 4, 0, 0},
               {REG_SHADOW, 0x18, 0, 0},
               {REG_BLOCK, REG_BLOCK_SIZE, 0, 0},
               {REG_HIDDEN, REG_HIDDEN_SIZE, 0, 0}},
};
