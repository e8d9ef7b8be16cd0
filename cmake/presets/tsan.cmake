# SPDX-License-Identifier: BSD-3-Clause
#
# With the thread sanitizer: cmake -C cmake/presets/tsan.cmake -S . -B build-tsan
# For what has threads: ctest -L '^(unit|conformance)$'
include(${CMAKE_CURRENT_LIST_DIR}/clang-19.cmake)
set(CMAKE_CXX_FLAGS "-fsanitize=thread -fno-omit-frame-pointer" CACHE STRING "")
# The runtime as a library of its own: a test replaces operator new, which the static one has too.
set(CMAKE_EXE_LINKER_FLAGS "-shared-libsan -Wl,-rpath,/usr/lib/llvm-19/lib/clang/19/lib/linux" CACHE STRING "")
set(CMAKE_CXX_FLAGS_DEBUG "-g1" CACHE STRING "")
set(MEDIANT_BUILD_BENCHMARKS OFF CACHE BOOL "")
