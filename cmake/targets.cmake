# SPDX-License-Identifier: BSD-3-Clause
#
# The libraries, all header-only:
#
#   mediant::mediant    core, pci, provider, registers, device, kernel, migration, plugin, trace   no dependency
#   mediant::vfio_user  vfio_user                                                           nlohmann_json
#   mediant::tool       tool                                                                fmt, CLI11, mediant::vfio_user
#   mediant::libvfio_user  libvfio_user                                               libvfio-user, mediant::vfio_user
#   mediant::bpf        bpf                                                                 libbpf 1.4, libelf, zlib
#
# The last four are defined where their dependencies are found. A program of mediant::tool that is linked with
# mediant::libvfio_user, too, can serve by libvfio-user; one that is linked with mediant::bpf can load BPF providers.

set(mediant_include ${CMAKE_CURRENT_SOURCE_DIR}/include)

# Headers of the given folders, relative names; FILE_SET wants them listed.
function(mediant_headers out)
    set(found)
    foreach(folder IN LISTS ARGN)
        file(GLOB_RECURSE headers CONFIGURE_DEPENDS
            ${mediant_include}/mediant/${folder}/*.hpp ${mediant_include}/mediant/${folder}/*.h)
        # Not for C++: what goes into emitted module trees as it is.
        list(FILTER headers EXCLUDE REGEX "/kernel/module/")
        list(APPEND found ${headers})
    endforeach()
    set(${out} ${found} PARENT_SCOPE)
endfunction()

# mediant_library(NAME FOLDERS folder... [FILES file...] [LINK library...])
function(mediant_library name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "FOLDERS;FILES;LINK")
    mediant_headers(headers ${arg_FOLDERS})
    add_library(mediant_${name} INTERFACE)
    add_library(mediant::${name} ALIAS mediant_${name})
    set_target_properties(mediant_${name} PROPERTIES EXPORT_NAME ${name})
    target_compile_features(mediant_${name} INTERFACE cxx_std_20)
    target_link_libraries(mediant_${name} INTERFACE ${arg_LINK})
    target_sources(mediant_${name} INTERFACE
        FILE_SET HEADERS BASE_DIRS ${mediant_include} FILES ${headers} ${arg_FILES})
endfunction()

mediant_library(mediant
    FOLDERS core pci provider registers device kernel migration plugin trace
    FILES ${mediant_include}/mediant/mediant.hpp)

find_package(nlohmann_json 3.10 QUIET)
if(nlohmann_json_FOUND)
    mediant_library(vfio_user FOLDERS vfio_user LINK mediant::mediant nlohmann_json::nlohmann_json)
else()
    message(STATUS "mediant: no mediant::vfio_user and no mediant::tool: nlohmann_json is missing")
endif()

find_package(fmt 9 QUIET)
find_package(CLI11 2.1 QUIET)
if(TARGET mediant::vfio_user)
    if(fmt_FOUND AND CLI11_FOUND)
        mediant_library(tool FOLDERS tool LINK mediant::vfio_user fmt::fmt CLI11::CLI11)
    else()
        message(STATUS "mediant: no mediant::tool: it needs fmt (found: ${fmt_FOUND}) and CLI11 (found: ${CLI11_FOUND})")
    endif()
endif()

set(MEDIANT_LIBVFIO_USER "" CACHE PATH "What cmake/setup/libvfio-user made; if empty, libvfio-user is looked for")
if(TARGET mediant::vfio_user)
    if(MEDIANT_LIBVFIO_USER AND NOT LibvfioUser_ROOT)
        set(LibvfioUser_ROOT ${MEDIANT_LIBVFIO_USER})
    endif()
    list(PREPEND CMAKE_MODULE_PATH ${CMAKE_CURRENT_LIST_DIR})
    find_package(LibvfioUser QUIET)
    list(POP_FRONT CMAKE_MODULE_PATH)
    if(LibvfioUser_FOUND)
        mediant_library(libvfio_user FOLDERS libvfio_user LINK mediant::vfio_user LibvfioUser::LibvfioUser)
        target_compile_definitions(mediant_libvfio_user INTERFACE MEDIANT_HAS_LIBVFIO_USER)
    else()
        message(STATUS "mediant: no mediant::libvfio_user: libvfio-user is missing (cmake/setup/libvfio-user builds it)")
    endif()
endif()

set(MEDIANT_LIBBPF "" CACHE PATH "What cmake/setup/libbpf made; if empty, libbpf is looked for")
if(MEDIANT_LIBBPF AND NOT Libbpf_ROOT)
    set(Libbpf_ROOT ${MEDIANT_LIBBPF})
endif()
list(PREPEND CMAKE_MODULE_PATH ${CMAKE_CURRENT_LIST_DIR})
find_package(Libbpf 1.4 QUIET)
list(POP_FRONT CMAKE_MODULE_PATH)
if(Libbpf_FOUND)
    mediant_library(bpf FOLDERS bpf LINK mediant::mediant Libbpf::Libbpf)
    target_compile_definitions(mediant_bpf INTERFACE MEDIANT_HAS_LIBBPF)
elseif(Libbpf_VERSION VERSION_LESS 1.4 AND Libbpf_LIBRARY)
    message(STATUS "mediant: no mediant::bpf: it needs libbpf 1.4, here is ${Libbpf_VERSION} "
        "(cmake/setup/libbpf DIR builds one, -DMEDIANT_LIBBPF=DIR uses it)")
else()
    message(STATUS "mediant: no mediant::bpf: it needs libbpf 1.4 (cmake/setup/libbpf DIR builds one, "
        "-DMEDIANT_LIBBPF=DIR uses it), libelf and zlib")
endif()
