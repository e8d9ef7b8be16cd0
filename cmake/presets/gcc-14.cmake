# SPDX-License-Identifier: BSD-3-Clause
#
# With g++ 14 and newer versions of all that mediant uses (Catch2 3, fmt 10), unpacked beside the system. First
#
#   cmake/setup/g++-14 build/gcc-14-newer catch2 libfmt-dev libcli11-dev nlohmann-json3-dev libelf-dev zlib1g-dev
#
# then cmake -C cmake/presets/gcc-14.cmake -S . -B build-gcc-14, or for another folder -DMEDIANT_GXX14_DIR=... before
# -C. Programs run by the loader and the C library that were unpacked with the compiler.
set(MEDIANT_GXX14_DIR ${CMAKE_CURRENT_LIST_DIR}/../../build/gcc-14-newer CACHE PATH "What cmake/setup/g++-14 has made")
get_filename_component(folder ${MEDIANT_GXX14_DIR} ABSOLUTE BASE_DIR ${CMAKE_CURRENT_LIST_DIR}/../..)
set(CMAKE_CXX_COMPILER ${folder}/g++-14 CACHE STRING "")
set(CMAKE_SYSROOT ${folder}/root CACHE PATH "")
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY CACHE STRING "")
set(CMAKE_BUILD_TYPE Debug CACHE STRING "")
set(CMAKE_CXX_FLAGS_DEBUG "" CACHE STRING "")
set(MEDIANT_WERROR ON CACHE BOOL "")
# The tests that clang compiles are run elsewhere, and it would take the wrong C library.
set(MEDIANT_CLANGXX "" CACHE FILEPATH "")
set(MEDIANT_FUZZER_CXX "" CACHE FILEPATH "")
set(MEDIANT_BUILD_BENCHMARKS OFF CACHE BOOL "")
