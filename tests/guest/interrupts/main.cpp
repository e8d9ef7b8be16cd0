// SPDX-License-Identifier: BSD-3-Clause

#include "providers.hpp"

#include <mediant/tool/tool.hpp>

using devices = mediant::registry<interrupts_test::raising_edu, interrupts_test::raising_nic>;

int main(int argc, char** argv) { return mediant::tool<devices>(argc, argv); }
