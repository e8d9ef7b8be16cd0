// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// The program of the bundled examples: `list`, `lookup`, `map`, `shim`, `serve`; see --help.

#include "edu/edu.hpp"

#include <mediant/device/edu.hpp>
#include <mediant/tool/tool.hpp>

using devices = mediant::registry<acme::edu>;

int main(int argc, char** argv) { return mediant::tool<devices, mediant::device::edu>(argc, argv); }
