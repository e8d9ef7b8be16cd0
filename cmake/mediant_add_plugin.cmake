# SPDX-License-Identifier: BSD-3-Clause
#
# mediant_add_plugin(NAME
#     TYPE <type>...             the providers, as C++ names: acme::edu
#     HEADER <file>              the header that defines them
#     DEVICE <VID:DID>...        what they serve, four hexadecimal digits each: what the shared object is found by
#     [INCLUDE <folder>...]      where the header's own #includes are found
#     [OUTPUT <folder>])         where it goes; ${CMAKE_CURRENT_BINARY_DIR}/providers unless told
#
# Adds the target NAME to the default build: a shared object of providers that `serve --providers FOLDER` and
# mediant::plugin::loaded find as vfio-pci-mediate-<vid>-<did>.so and load when such a device is opened. It is the same
# policy object as a kernel module's, under the same limits. Property of the target: MEDIANT_PLUGIN_FOLDER.

include_guard(GLOBAL)

function(mediant_add_plugin name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "HEADER;OUTPUT" "TYPE;DEVICE;INCLUDE")
    if(arg_UNPARSED_ARGUMENTS OR arg_KEYWORDS_MISSING_VALUES)
        message(FATAL_ERROR "mediant_add_plugin(${name}): cannot make sense of: ${arg_UNPARSED_ARGUMENTS} ${arg_KEYWORDS_MISSING_VALUES}")
    endif()
    foreach(needed IN ITEMS TYPE HEADER DEVICE)
        if(NOT arg_${needed})
            message(FATAL_ERROR "mediant_add_plugin(${name}): ${needed} is missing")
        endif()
    endforeach()
    if(NOT arg_OUTPUT)
        set(arg_OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/providers)
    endif()
    get_filename_component(header ${arg_HEADER} ABSOLUTE)

    set(aliases)
    foreach(device IN LISTS arg_DEVICE)
        string(TOLOWER ${device} device)
        if(NOT device MATCHES "^([0-9a-f][0-9a-f][0-9a-f][0-9a-f]):([0-9a-f][0-9a-f][0-9a-f][0-9a-f])$")
            message(FATAL_ERROR "mediant_add_plugin(${name}): DEVICE ${device} is not VID:DID, four hexadecimal digits each")
        endif()
        list(APPEND aliases vfio-pci-mediate-${CMAKE_MATCH_1}-${CMAKE_MATCH_2})
    endforeach()
    list(POP_FRONT aliases first)

    list(TRANSFORM arg_TYPE REPLACE "(.+)" "    &mediant::kernel::provider_table<\\1>" OUTPUT_VARIABLE tables)
    list(JOIN tables ",\n" tables)
    list(LENGTH arg_TYPE count)
    set(source ${CMAKE_CURRENT_BINARY_DIR}/${name}.policy.cpp)
    file(CONFIGURE OUTPUT ${source} @ONLY CONTENT
"#include \"@header@\"

#include <mediant/kernel/policy_object.hpp>

extern \"C\" {
[[gnu::visibility(\"default\")]] extern constinit const mediant_provider* const mediant_providers[] = {
@tables@};
[[gnu::visibility(\"default\")]] extern constinit const unsigned int mediant_provider_count = @count@;
}
")
    add_library(${name} MODULE ${source})
    target_link_libraries(${name} PRIVATE mediant::mediant)
    target_include_directories(${name} PRIVATE ${arg_INCLUDE})
    set_target_properties(${name} PROPERTIES
        PREFIX "" OUTPUT_NAME ${first} LIBRARY_OUTPUT_DIRECTORY ${arg_OUTPUT} CXX_VISIBILITY_PRESET hidden
        MEDIANT_PLUGIN_FOLDER ${arg_OUTPUT})
    foreach(alias IN LISTS aliases)
        add_custom_command(TARGET ${name} POST_BUILD
            COMMAND ${CMAKE_COMMAND} -E create_symlink ${first}.so ${arg_OUTPUT}/${alias}.so VERBATIM)
    endforeach()
endfunction()
