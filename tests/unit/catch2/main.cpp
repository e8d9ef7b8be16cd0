// SPDX-License-Identifier: BSD-3-Clause

// Catch2 2's implementation and main(), for all programs of the unit tests.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
