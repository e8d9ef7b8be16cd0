// SPDX-License-Identifier: BSD-3-Clause
//
// Programs that the verifier must refuse, each in an ops object of its own.

#include "calls.h"

struct state {
    unsigned char bytes[64];
};

SEC("struct_ops.s/read")
int BPF_PROG(outside_read, struct mediant_bpf_call* call, unsigned int region, unsigned long long offset) {
    struct state* const state = (struct state*)mediant_bpf_state(call, sizeof *state);
    if (!state || offset > sizeof state->bytes) return -EIO; // one too many
    call->value = state->bytes[offset];
    return 1;
}

SEC("struct_ops.s/read")
int BPF_PROG(unchecked_read, struct mediant_bpf_call* call) {
    struct state* const state = (struct state*)mediant_bpf_state(call, sizeof *state);
    call->value = state->bytes[0];
    return 1;
}

SEC("struct_ops.s/read")
int BPF_PROG(made_up_read, struct mediant_bpf_call* call) {
    struct mediant_bpf_call mine = {};
    unsigned long long value = 0;
    return mediant_bpf_load(&mine, 0, 0, 4, &value);
}

SEC("struct_ops.s/read")
int BPF_PROG(moved_read, struct mediant_bpf_call* call) {
    unsigned long long value = 0;
    return mediant_bpf_load((struct mediant_bpf_call*)((char*)call + 8), 0, 0, 4, &value);
}

SEC("struct_ops.s/read")
int BPF_PROG(nothing_read, struct mediant_bpf_call* call) { return mediant_bpf_load(call, 0, 0, 4, NULL); }

SEC("struct_ops.s/read")
int BPF_PROG(host_read, struct mediant_bpf_call* call) {
    *(volatile unsigned long long*)&call->host = 1;
    return 1;
}

SEC("struct_ops.s/read")
int BPF_PROG(behind_read, struct mediant_bpf_call* call) {
    ((volatile unsigned long long*)call)[16] = 1;
    return 1;
}

SEC("struct_ops/read")
int BPF_PROG(awake_read, struct mediant_bpf_call* call) {
    unsigned long long value = 0;
    return mediant_bpf_load(call, 0, 0, 4, &value);
}

SEC("struct_ops.s/read")
int BPF_PROG(helper_read, struct mediant_bpf_call* call) { return (int)bpf_get_prandom_u32() & 1; }

#define REFUSED(which) SEC(".struct_ops.link") struct mediant_bpf_ops which = {.read = (void*)which##_read}
REFUSED(outside);
REFUSED(unchecked);
REFUSED(made_up);
REFUSED(moved);
REFUSED(nothing);
REFUSED(host);
REFUSED(behind);
REFUSED(awake);
REFUSED(helper);

// Of another type of ops.
struct sock;
struct tcp_congestion_ops {
    void (*init)(struct sock* sk);
    char name[16];
};

SEC("struct_ops/init")
void BPF_PROG(foreign_init, struct sock* sk) { mediant_bpf_state((struct mediant_bpf_call*)sk, 8); }

SEC(".struct_ops.link")
struct tcp_congestion_ops foreign = {.init = (void*)foreign_init, .name = "foreign"};
