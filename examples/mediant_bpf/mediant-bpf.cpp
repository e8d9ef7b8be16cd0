// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// The loader of BPF providers, for machines that have objects alone: attach, detach, replace, status, units; see
/// --help.

#include <mediant/tool/loader.hpp>

int main(int argc, char** argv) { return mediant::loader(argc, argv); }
