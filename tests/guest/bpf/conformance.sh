#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Runs in a guest: the random accesses through the host, with each provider as a module and then as a BPF object, both
# against the same policy in process.
#
#   conformance.sh PROVIDER...      of which there are /PROVIDER_provider.ko and /PROVIDER.bpf.o
set -e

cd /sys/bus/pci/devices
edu=$(grep -l 0x11e8 -- */device | head -n 1)
edu=${edu%/device}
bind() {
    [ ! -e "$edu/driver" ] || echo "$edu" > "$edu/driver/unbind"
    echo "$1" > "$edu/driver_override"
    echo "$edu" > /sys/bus/pci/drivers_probe
    [ "$(basename "$(readlink "$edu/driver")")" = "$1" ]
}
# QEMU's device keeps its registers, and a provider may not let all of them through.
compare() { # PROVIDER
    bind vfio-pci
    /conformance --settle
    bind vfio_pci_mediate
    /conformance --provider "$1" --max-access "$width"
}
bind vfio-pci
width=$(/conformance --show-max-access)
mount -t bpf bpf /sys/fs/bpf
modprobe vfio_pci_mediate
for provider in "$@"; do
    echo "$provider, a module:"
    insmod "/${provider}_provider.ko"
    compare "$provider"
    rmmod "${provider}_provider"
    echo "$provider, a BPF provider:"
    /mediant-bpf attach "/$provider.bpf.o"
    compare "$provider"
    /mediant-bpf detach "$provider"
done
