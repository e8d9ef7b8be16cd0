# SPDX-License-Identifier: BSD-3-Clause
#
# While working on mediant: cmake -C cmake/presets/dev.cmake -S . -B build-dev
set(CMAKE_BUILD_TYPE Debug CACHE STRING "")
set(MEDIANT_WERROR ON CACHE BOOL "")
