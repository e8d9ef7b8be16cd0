// SPDX-License-Identifier: BSD-3-Clause

#include "providers.hpp"

#include <mediant/tool/tool.hpp>

using devices = mediant::registry<demand::nic, demand::disk, demand::picky, demand::branded, demand::shy,
                                  demand::tabled, demand::again, demand::vf, demand::wide>;

int main(int argc, char** argv) { return mediant::tool<devices>(argc, argv); }
