// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <nlohmann/json.hpp>

#include <string>

/// A register that is rung by an eventfd, its value in shared memory, against the same write as a message: rows of the
/// benchmark's JSON. Sockets go to `folder`.
nlohmann::json measure_doorbells(const std::string& folder, int rounds);
