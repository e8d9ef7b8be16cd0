// SPDX-License-Identifier: BSD-3-Clause
#pragma once

/// What a provider needs, and no more. Freestanding: the same header is compiled into a kernel object.

#include <mediant/core/access.hpp>
#include <mediant/core/requests.hpp>
#include <mediant/core/result.hpp>
#include <mediant/core/verified.hpp>
#include <mediant/migration/saved_state.hpp>
#include <mediant/pci/id.hpp>
#include <mediant/provider/info.hpp>
#include <mediant/provider/next.hpp>
#include <mediant/provider/registry.hpp>
#include <mediant/provider/valid.hpp>
#include <mediant/registers/config_map.hpp>
#include <mediant/registers/map.hpp>
