#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Runs in a guest: BPF providers that mediant has written, put under the host and taken away by mediant-bpf; what the
# verifier refuses, maps of many registers, and the whole client of the edu example behind its provider. (What else
# mediant-bpf says and does, and what becomes of one that is killed, is guest.bpf_loader's.)
#
#   tool.sh LINE      where in policies.hpp the mistake of `unchecked` is
set -e

fail() { echo "FAILED: $*"; exit 1; }
says() { # FILE TEXT: whether a line of the file has it
    grep -qF -- "$2" "$1" || { tail -n 30 "$1"; fail "not said: $2"; }
}
# soon COMMAND...: what was killed leaves its things to the kernel's workers
soon() {
    for _ in $(seq 100); do ! "$@" 2>/dev/null || return 0; usleep 100000; done
    fail "it does not come: $*"
}

nothing() { [ -z "$(cat /sys/bus/pci/drivers/vfio_pci_mediate/bpf_providers)" ]; }

cd /sys/bus/pci/devices
edu=$(grep -l 0x11e8 -- */device | head -n 1)
edu=${edu%/device}

echo "no host"
! /mediant-bpf attach --mount-bpffs /edu.bpf.o >/tmp/said 2>&1 || fail "attached without a host"
says /tmp/said "the host is not loaded"
modprobe vfio_pci_mediate
/mediant-bpf status >/tmp/said
says /tmp/said "takes BPF providers"

echo "what the verifier refuses"
! /mediant-bpf attach --mount-bpffs /unchecked.bpf.o >/tmp/said 2>&1 || fail "a wild index is taken"
tail -n 12 /tmp/said
says /tmp/said "table[index] = 1;"
says /tmp/said "policies.hpp:$1"
says /tmp/said "mediant_write"
[ ! -e /sys/fs/bpf/mediant/unchecked ] || fail "it is pinned"
nothing || fail "the host has it"

echo "maps of many registers, all kinds of them, and the examples"
for name in many_256 many_4096 many_hooks stateless elements many_fields every_kind nvme nvme_bounded gpio_idio_16 igb_vf; do
    /mediant-bpf attach "/$name.bpf.o"
    # Each program's instructions, of which the verifier takes a million: policies shall have room for their own.
    /mediant-bpf status --json >/tmp/said
    sed -n 's/^ *"op": "\(.*\)",$/\1/p; s/^ *"verified_instructions": \([0-9]*\).*/\1/p' /tmp/said >/tmp/counts
    awk -v name="$name" '
        /^[0-9]/ { count = $0; if (count <= 0 || count >= 300000) bad = 1 }
        /^[a-z]/ { op = $0 }
        { if (count != "" && op != "") { line = line " " op " " count; sum += count; count = ""; op = "" } }
        END { print "verified: " name ":" line " sum " sum; exit bad || !sum }' /tmp/counts
    /mediant-bpf detach "$name"
done

echo "attached"
/mediant-bpf attach /edu.bpf.o
/mediant-bpf status >/tmp/said
cat /tmp/said
says /tmp/said "pinned at /sys/fs/bpf/mediant/edu"
says /tmp/said "serves    1234:11e8"
/mediant-bpf attach --if-needed /edu.bpf.o
! /mediant-bpf attach /edu.bpf.o >/tmp/said 2>&1 || fail "attached twice"
says /tmp/said "edu"
! rmmod vfio_pci_mediate 2>/dev/null || fail "rmmod of a host with a provider"

echo "replaced"
/mediant-bpf replace /edu.bpf.o
! /mediant-bpf replace /many_256.bpf.o >/tmp/said 2>&1 || fail "replaced by what is not attached"
says /tmp/said "many_256"
# Of the same name, and with other registers.
! /mediant-bpf replace /counted.bpf.o >/tmp/said 2>&1 || fail "replaced by what is not its equal"
tail -n 3 /tmp/said
dmesg | tail -n 5 >/tmp/said
says /tmp/said "what would take its place has"

echo "the whole client"
/mediated_edu vfio_pci_mediate "$edu"
/observability vfio_pci_mediate "$edu"

echo "detached"
/mediant-bpf detach edu
! /mediant-bpf detach edu 2>/tmp/said || fail "detached twice"
/mediant-bpf detach --if-attached edu
! /mediated_edu vfio_pci_mediate "$edu" >/tmp/said 2>&1 || fail "a device without its provider opens"
echo "$edu" >"$edu/driver/unbind"
soon rmmod vfio_pci_mediate
