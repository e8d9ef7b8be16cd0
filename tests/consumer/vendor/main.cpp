// SPDX-License-Identifier: BSD-3-Clause
#include <acme/anvil.hpp>
#include <mediant/tool/tool.hpp>

int main(int argc, char** argv) { return mediant::tool<acme::devices>(argc, argv); }
