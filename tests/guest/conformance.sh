#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Runs in a guest: the random accesses through plain vfio-pci against the simulated device, then through the provider in
# a vfio-user server over plain vfio-pci, then through the module, both against the same policy in process; and likewise
# through a module whose policy has a config map.
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
bind vfio-pci
# Newer kernels reach 8 bytes at once. Whatever vfio-pci does here, the module must do likewise.
width=$(/conformance --show-max-access)
/conformance --plain --max-access "$width" "$@"
/conformance --user-space --max-access "$width" "$@"
bind edu_vfio_pci
/conformance --max-access "$width" "$@"
bind shaped_edu_vfio_pci
/conformance --max-access "$width" "$@"
