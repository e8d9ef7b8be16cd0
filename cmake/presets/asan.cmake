# SPDX-License-Identifier: BSD-3-Clause
#
# With the address and undefined-behaviour sanitizers: cmake -C cmake/presets/asan.cmake -S . -B build-asan
# A finding ends the program. Tests that compile for a kernel are not concerned: ctest -L '^(unit|conformance)$'
include(${CMAKE_CURRENT_LIST_DIR}/clang-19.cmake)
set(CMAKE_CXX_FLAGS "-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer"
    CACHE STRING "")
# Lines in reports, but no more: full debug information takes longer to write than the code.
set(CMAKE_CXX_FLAGS_DEBUG "-g1" CACHE STRING "")
set(MEDIANT_BUILD_BENCHMARKS OFF CACHE BOOL "")
