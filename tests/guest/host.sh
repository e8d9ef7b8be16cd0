#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Runs in a guest: demand loading, then the whole client of the edu example behind the host and its provider, and what
# an administrator sees of it. The edu device with a reset is the last one, behind its port.
set -e

/demand_loading

cd /sys/bus/pci/devices
edu=$(grep -l 0x11e8 -- */device | tail -n 1)
edu=${edu%/device}
modprobe vfio_pci_mediate
/mediated_edu vfio_pci_mediate "$edu"
/observability vfio_pci_mediate "$edu"

# Passed through, it is the plain device: computing, interrupts and DMA through the IOMMU included.
echo 1 >/sys/module/vfio_pci_mediate/parameters/pass_through
/plain_vfio vfio_pci_mediate "$edu"
