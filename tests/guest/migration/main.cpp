// SPDX-License-Identifier: BSD-3-Clause

#include "moving_edu.hpp"

#include <mediant/tool/tool.hpp>

int main(int argc, char** argv) { return mediant::tool<mediant::registry<moving::edu>>(argc, argv); }
