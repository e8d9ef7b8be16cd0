// SPDX-License-Identifier: BSD-3-Clause

#include "../../conformance/shaped_edu.hpp"
#include "providers.hpp"
#include "switched.hpp"

#include <mediant/tool/tool.hpp>

using devices = mediant::registry<config_test::nic_loads, config_test::disk_loads, config_test::shaped,
                                  config_test::asked, config_test::shaped_edu, config_test::switched>;

int main(int argc, char** argv) { return mediant::tool<devices>(argc, argv); }
