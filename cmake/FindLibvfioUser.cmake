# SPDX-License-Identifier: BSD-3-Clause
#
# find_package(LibvfioUser): the target LibvfioUser::LibvfioUser, from an installation of libvfio-user or from what
# cmake/setup/libvfio-user of mediant's source made. LibvfioUser_ROOT, as a variable or in the environment, says where.
# It has no version to ask for.

find_path(LibvfioUser_INCLUDE_DIR libvfio-user.h PATH_SUFFIXES vfio-user source/include)
find_library(LibvfioUser_LIBRARY vfio-user PATH_SUFFIXES build/lib)
mark_as_advanced(LibvfioUser_INCLUDE_DIR LibvfioUser_LIBRARY)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibvfioUser REQUIRED_VARS LibvfioUser_LIBRARY LibvfioUser_INCLUDE_DIR)

if(LibvfioUser_FOUND AND NOT TARGET LibvfioUser::LibvfioUser)
    add_library(LibvfioUser::LibvfioUser UNKNOWN IMPORTED)
    set_target_properties(LibvfioUser::LibvfioUser PROPERTIES
        IMPORTED_LOCATION ${LibvfioUser_LIBRARY}
        INTERFACE_INCLUDE_DIRECTORIES ${LibvfioUser_INCLUDE_DIR})
endif()
