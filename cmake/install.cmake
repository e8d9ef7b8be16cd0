# SPDX-License-Identifier: BSD-3-Clause
#
# Installs the headers and the CMake package. Each library has an export set of its own, so that the core can be
# used where the others' dependencies are missing.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# Nothing here depends on the machine.
set(package_dir ${CMAKE_INSTALL_DATADIR}/cmake/mediant)

foreach(part IN ITEMS mediant vfio_user tool libvfio_user bpf)
    if(TARGET mediant_${part})
        install(TARGETS mediant_${part} EXPORT mediant_${part}
            FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT mediant)
        install(EXPORT mediant_${part} FILE mediant-${part}.cmake NAMESPACE mediant::
            DESTINATION ${package_dir} COMPONENT mediant)
    endif()
endforeach()

# What the shim generator copies into module trees.
install(DIRECTORY include/mediant/kernel/module
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/mediant/kernel COMPONENT mediant OPTIONAL)

configure_package_config_file(cmake/mediantConfig.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/package/mediantConfig.cmake
    INSTALL_DESTINATION ${package_dir} PATH_VARS CMAKE_INSTALL_INCLUDEDIR)
# Before 1.0 a minor version may change the interface.
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/package/mediantConfigVersion.cmake
    COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES
        ${CMAKE_CURRENT_BINARY_DIR}/package/mediantConfig.cmake
        ${CMAKE_CURRENT_BINARY_DIR}/package/mediantConfigVersion.cmake
        cmake/FindLibbpf.cmake
        cmake/FindLibvfioUser.cmake
        cmake/mediant_add_plugin.cmake
        cmake/mediant_add_shim.cmake
        cmake/audit-bpf-object.awk
    DESTINATION ${package_dir} COMPONENT mediant)
install(PROGRAMS cmake/audit-object cmake/audit-bpf-object DESTINATION ${package_dir} COMPONENT mediant)

# The same for pkg-config: mediant, and mediant-vfio_user and mediant-tool where they are.
set(pc_dir ${CMAKE_INSTALL_DATADIR}/pkgconfig)
if(IS_ABSOLUTE ${CMAKE_INSTALL_DATADIR})
    set(prefix_from_pc ../..)
else()
    file(RELATIVE_PATH prefix_from_pc /prefix/${pc_dir} /prefix)
    string(REGEX REPLACE "/$" "" prefix_from_pc ${prefix_from_pc})
endif()
set(include_from_prefix "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
if(IS_ABSOLUTE ${CMAKE_INSTALL_INCLUDEDIR})
    set(include_from_prefix ${CMAKE_INSTALL_INCLUDEDIR})
endif()
function(mediant_pkg_config target pc_name pc_description pc_requires)
    if(TARGET ${target})
        configure_file(cmake/mediant.pc.in ${CMAKE_CURRENT_BINARY_DIR}/package/${pc_name}.pc @ONLY)
        install(FILES ${CMAKE_CURRENT_BINARY_DIR}/package/${pc_name}.pc DESTINATION ${pc_dir} COMPONENT mediant)
    endif()
endfunction()
mediant_pkg_config(mediant_mediant mediant "${PROJECT_DESCRIPTION}" "")
mediant_pkg_config(mediant_vfio_user mediant-vfio_user "mediant's vfio-user server and client" "mediant nlohmann_json")
mediant_pkg_config(mediant_tool mediant-tool "The command line of a vendor's program" "mediant-vfio_user fmt CLI11")

install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/mediant COMPONENT mediant)
