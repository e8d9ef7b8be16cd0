// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// The program of the bundled examples: `list`, `lookup`, `map`, `shim`, `serve`; see --help.

#include "edu/edu.hpp"
#include "vf_half_bar/vf_device.hpp"
#include "vf_half_bar/vf_half_bar.hpp"

#include <mediant/device/edu.hpp>
#include <mediant/tool/tool.hpp>

using devices = mediant::registry<acme::edu, acme::vf_half_bar>;

int main(int argc, char** argv) { return mediant::tool<devices, mediant::device::edu, acme::vf_device>(argc, argv); }
