# SPDX-License-Identifier: BSD-3-Clause
#
# find_package(Libbpf 1.4): the target Libbpf::Libbpf, with libelf and zlib, from an installation or from what
# cmake/setup/libbpf of mediant's source made. Libbpf_ROOT, as a variable or in the environment, says where.

find_package(PkgConfig QUIET)
if(PkgConfig_FOUND)
    pkg_check_modules(Libbpf_PC QUIET libbpf)
endif()
find_path(Libbpf_INCLUDE_DIR bpf/libbpf.h HINTS ${Libbpf_PC_INCLUDE_DIRS})
find_library(Libbpf_LIBRARY bpf HINTS ${Libbpf_PC_LIBRARY_DIRS})
find_library(Libbpf_ELF_LIBRARY elf)
find_library(Libbpf_Z_LIBRARY z)
mark_as_advanced(Libbpf_INCLUDE_DIR Libbpf_LIBRARY Libbpf_ELF_LIBRARY Libbpf_Z_LIBRARY)

set(Libbpf_VERSION)
if(Libbpf_INCLUDE_DIR AND EXISTS ${Libbpf_INCLUDE_DIR}/bpf/libbpf_version.h)
    file(STRINGS ${Libbpf_INCLUDE_DIR}/bpf/libbpf_version.h lines REGEX "define LIBBPF_(MAJOR|MINOR)_VERSION")
    string(REGEX REPLACE ".*MAJOR_VERSION ([0-9]+).*MINOR_VERSION ([0-9]+).*" "\\1.\\2" Libbpf_VERSION "${lines}")
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Libbpf
    REQUIRED_VARS Libbpf_LIBRARY Libbpf_INCLUDE_DIR Libbpf_ELF_LIBRARY Libbpf_Z_LIBRARY
    VERSION_VAR Libbpf_VERSION)

if(Libbpf_FOUND AND NOT TARGET Libbpf::Libbpf)
    add_library(Libbpf::Libbpf UNKNOWN IMPORTED)
    # By their names, so that a program may be linked statically.
    set_target_properties(Libbpf::Libbpf PROPERTIES
        IMPORTED_LOCATION ${Libbpf_LIBRARY}
        INTERFACE_INCLUDE_DIRECTORIES ${Libbpf_INCLUDE_DIR}
        INTERFACE_LINK_LIBRARIES "elf;z")
endif()
