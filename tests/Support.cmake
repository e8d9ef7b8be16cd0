# SPDX-License-Identifier: BSD-3-Clause
#
# What the folders of tests share.

# The project's own compiler, and others where the machine has them.
find_program(MEDIANT_CLANGXX NAMES clang++-19 DOC "A clang++ for tests beside the project's own compiler")
find_program(MEDIANT_GXX14 NAMES g++-14 DOC "A g++ 14, which knows better what is freestanding")
mark_as_advanced(MEDIANT_CLANGXX MEDIANT_GXX14)
find_program(MEDIANT_BASH NAMES bash REQUIRED)
mark_as_advanced(MEDIANT_BASH)

# MEDIANT_COMPILERS: "own", and "clang" where there is one and the project's own is another; the program of
# each in MEDIANT_COMPILER_<name>.
set(MEDIANT_COMPILER_own ${CMAKE_CXX_COMPILER})
set(MEDIANT_COMPILERS own)
if(MEDIANT_CLANGXX AND NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    set(MEDIANT_COMPILER_clang ${MEDIANT_CLANGXX})
    list(APPEND MEDIANT_COMPILERS clang)
endif()

# Every include folder of the libraries, for compilers that tests call themselves. -I, as compilers ignore it for their
# own system folders; -isystem would move those.
set(MEDIANT_TEST_INCLUDES -I${PROJECT_SOURCE_DIR}/include)
foreach(library IN ITEMS nlohmann_json::nlohmann_json fmt::fmt CLI11::CLI11 LibvfioUser::LibvfioUser Libbpf::Libbpf)
    if(TARGET ${library})
        get_target_property(folders ${library} INTERFACE_INCLUDE_DIRECTORIES)
        foreach(folder IN LISTS folders)
            string(GENEX_STRIP "${folder}" folder)
            if(folder)
                list(APPEND MEDIANT_TEST_INCLUDES -I${folder})
            endif()
        endforeach()
    endif()
endforeach()
list(APPEND MEDIANT_TEST_INCLUDES -I${PROJECT_SOURCE_DIR}/tests -I${PROJECT_SOURCE_DIR}/examples)
list(REMOVE_DUPLICATES MEDIANT_TEST_INCLUDES)

# mediant_test_name(OUT FILE): the name of a file below the current folder, as it stands in a test's name.
function(mediant_test_name out file)
    cmake_path(RELATIVE_PATH file BASE_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})
    cmake_path(REMOVE_EXTENSION file LAST_ONLY)
    string(REPLACE "/" "." file ${file})
    set(${out} ${file} PARENT_SCOPE)
endfunction()
