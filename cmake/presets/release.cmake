# SPDX-License-Identifier: BSD-3-Clause
#
# What is installed, without tests and benchmarks: cmake -C cmake/presets/release.cmake -S . -B build-release
set(CMAKE_BUILD_TYPE Release CACHE STRING "")
set(MEDIANT_BUILD_TESTS OFF CACHE BOOL "")
set(MEDIANT_BUILD_BENCHMARKS OFF CACHE BOOL "")
