// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <nlohmann/json.hpp>

#include <string>

/// A thousand devices served by one process, each with a client: what one costs in memory, and in time while nobody asks
/// for anything. Prints a table and answers its rows. `folder` is an empty one.
nlohmann::json measure_many(const std::string& folder);
