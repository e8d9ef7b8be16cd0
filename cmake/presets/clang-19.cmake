# SPDX-License-Identifier: BSD-3-Clause
#
# With clang++ 19: cmake -C cmake/presets/clang-19.cmake -S . -B build-clang-19
set(CMAKE_CXX_COMPILER clang++-19 CACHE STRING "")
set(CMAKE_C_COMPILER clang-19 CACHE STRING "")
set(CMAKE_BUILD_TYPE Debug CACHE STRING "")
set(MEDIANT_WERROR ON CACHE BOOL "")
