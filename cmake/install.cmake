# SPDX-License-Identifier: BSD-3-Clause
#
# Installs the headers and the CMake package. Each library has an export set of its own, so that the core can be
# used where the others' dependencies are missing.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# Nothing here depends on the machine.
set(package_dir ${CMAKE_INSTALL_DATADIR}/cmake/mediant)

foreach(part IN ITEMS mediant vfio_user tool)
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
        cmake/mediant_add_shim.cmake
    DESTINATION ${package_dir} COMPONENT mediant)
install(PROGRAMS cmake/audit-object DESTINATION ${package_dir} COMPONENT mediant)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/mediant COMPONENT mediant)
