// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// The program of the bundled examples: `list`, `lookup`, `map`, `shim`, `serve`, `trace`; see --help.

#include "edu/edu.hpp"
#include "gpio_idio_16/gpio_idio_16.hpp"
#include "i40e_vf/i40e_vf.hpp"
#include "i40e_vf/i40e_vf_device.hpp"
#include "igb_vf/igb_vf.hpp"
#include "igd_display/igd_device.hpp"
#include "igd_display/igd_display.hpp"
#include "nvme/nvme.hpp"
#include "nvme/nvme_bounded.hpp"
#include "nvme/nvme_device.hpp"
#include "vf_half_bar/vf_device.hpp"
#include "vf_half_bar/vf_half_bar.hpp"
#include "virtio_net_transitional/virtio_net_device.hpp"
#include "virtio_net_transitional/virtio_net_transitional.hpp"

#include <mediant/device/edu.hpp>
#include <mediant/tool/tool.hpp>

using devices =
    mediant::registry<acme::edu, acme::nvme, acme::nvme_bounded, acme::vf_half_bar, acme::virtio_net_transitional,
                      acme::gpio_idio_16, acme::i40e_vf, acme::igb_vf, acme::igd_display>;

int main(int argc, char** argv) {
    return mediant::tool<devices, mediant::device::edu, acme::nvme_device, acme::vf_device, acme::virtio_net_device,
                         acme::i40e_vf_device, acme::igd_device>(argc, argv);
}
