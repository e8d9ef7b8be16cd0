// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Catch2 3 under the name that Catch2 2's one header has.
#include <catch2/catch_all.hpp>

using Catch::Approx;
