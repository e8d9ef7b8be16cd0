// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <nlohmann/json.hpp>

#include <string>

/// DMA in process: look-ups, dirty marks and reports, against libvfio-user's where the program was built with it. Prints
/// a table and answers its rows. `folder` is an empty one.
nlohmann::json measure_dma(const std::string& folder);
