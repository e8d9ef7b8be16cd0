// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// Writes the modules and the BPF provider that are compared.

#include "again.hpp"

#include <mediant/tool/tool.hpp>

int main(int argc, char** argv) {
    return mediant::tool<mediant::registry<acme::edu, benchmark_guest::edu_again>>(argc, argv);
}
