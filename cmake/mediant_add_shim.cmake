# SPDX-License-Identifier: BSD-3-Clause
#
# mediant_add_shim(NAME
#     TOOL <target>              the vendor's program, whose main() is mediant::tool<registry>
#     PROVIDER <VID:DID | name>... of the registry
#     HEADER <file>              the header that defines the provider
#     [INCLUDE <folder>...]      where its own #includes are found; mediant's folder always is
#     [TARGET <kind>]            which kernel artefact: variant (unless told), provider, host or bpf; a host has neither
#                                PROVIDER nor HEADER, and bpf one PROVIDER
#     [MODULE <name>]            the module's name; needed where there are several providers. For bpf, the object's
#     [OUTPUT <folder>]          where the module tree goes; ${CMAKE_CURRENT_BINARY_DIR}/NAME unless told
#     [ALLOW <symbol>...]        undefined symbols that the audit lets pass besides the usual ones
#     [KERNEL_BUILD <folder>])   kernel headers; the variable MEDIANT_KERNEL_BUILD unless told
#
# Where the provider cannot live in a kernel (a function that is not noexcept, state over 64 KiB, set_irqs mediated),
# the program refuses, and says what it is.
#
# Adds the target NAME to the default build. It has the program write the module tree, compiles the tree's policy
# object as a kernel would, without needing a kernel's headers, and audits that object (see audit-object). With kernel
# headers it also builds the module from a copy of the tree, in ${CMAKE_CURRENT_BINARY_DIR}/NAME.kernel, and audits the
# object that went into it. Properties of the target: MEDIANT_SHIM_TREE, MEDIANT_SHIM_OBJECT unless it is a host, and
# with kernel headers MEDIANT_SHIM_KERNEL, the folder where the .ko lies. The global property MEDIANT_SHIMS lists all
# such targets that have an object for a kernel to link.
#
# TARGET bpf has the tree's own Makefile compile the object, by clang 19 (MEDIANT_BPF_CLANG names one), and audits it;
# no kernel headers are needed. Where there is no such clang the tree alone is written. Properties of that target:
# MEDIANT_SHIM_TREE, MEDIANT_SHIM_BPF (true) and, with clang, MEDIANT_SHIM_OBJECT, the object to attach. The global
# property MEDIANT_BPF_SHIMS lists all such targets that have one.

include_guard(GLOBAL)

set(MEDIANT_KERNEL_BUILD "" CACHE PATH "Kernel headers against which mediant_add_shim() builds modules; none if empty")

find_program(MEDIANT_BPF_CLANG NAMES clang-19 DOC "The clang that compiles BPF providers, 19 or newer")
mark_as_advanced(MEDIANT_BPF_CLANG)

# Flags under which a policy compiles to what a kernel may link: those of Debian's kernels that shape machine code.
function(mediant_kernel_like_flags out)
    set(flags -std=gnu++20 -O2 -g0 -ffreestanding -fno-exceptions -fno-rtti -fno-threadsafe-statics -fno-use-cxa-atexit
        -fvisibility=hidden -fno-asynchronous-unwind-tables -fno-unwind-tables -fno-strict-aliasing -fno-common
        -fno-pie -fno-delete-null-pointer-checks -fstack-protector-strong
        -Wall -Wextra -Wframe-larger-than=1024 -Werror=return-type)
    if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
        list(APPEND flags -m64 -mno-mmx -mno-sse -mno-sse2 -mno-3dnow -mno-avx -mno-red-zone -mcmodel=kernel
            -pg -mfentry)
        if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
            list(APPEND flags -mno-80387 -mno-fp-ret-in-387 -mpreferred-stack-boundary=3 -mindirect-branch=thunk-extern
                -mindirect-branch-register -mfunction-return=thunk-extern)
        else()
            # No -mno-80387: clang then refuses the standard library's mere mention of long double. The audit finds
            # uses.
            list(APPEND flags -mstack-alignment=8 -mretpoline-external-thunk)
        endif()
    elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
        list(APPEND flags -mgeneral-regs-only)
    endif()
    set(${out} ${flags} PARENT_SCOPE)
endfunction()

# mediant_add_shim()'s part for TARGET bpf, once the tree is written: NAME.bpf.o, from a copy of the tree.
function(mediant_add_bpf_object name tree work object_name allow)
    set(results ${work}/tree.stamp)
    set(folder ${CMAKE_CURRENT_FUNCTION_LIST_DIR})
    set(audit ${folder}/audit-object ${folder}/audit-bpf-object ${folder}/audit-bpf-object.awk)
    set(object ${work}/bpf/${object_name}.bpf.o)
    if(MEDIANT_BPF_CLANG)
        # make -C must not take this build's own make for its parent.
        add_custom_command(OUTPUT ${object}
            COMMAND ${CMAKE_COMMAND} -E rm -rf ${work}/bpf
            COMMAND ${CMAKE_COMMAND} -E copy_directory ${tree} ${work}/bpf
            COMMAND ${CMAKE_COMMAND} -E env --unset=MAKEFLAGS --unset=MAKELEVEL --unset=MFLAGS
                make -s -C ${work}/bpf CLANG=${MEDIANT_BPF_CLANG}
            DEPENDS ${work}/tree.stamp
            COMMENT "Compiling the BPF provider ${name}"
            VERBATIM)
        add_custom_command(OUTPUT ${work}/audit.stamp
            COMMAND ${folder}/audit-object ${allow} ${object}
            COMMAND ${CMAKE_COMMAND} -E touch ${work}/audit.stamp
            DEPENDS ${object} ${audit}
            COMMENT "Auditing the BPF provider ${name}"
            VERBATIM)
        list(APPEND results ${work}/audit.stamp)
    else()
        message(STATUS "mediant: ${name}: only its tree is written, as there is no clang-19 (MEDIANT_BPF_CLANG)")
    endif()
    add_custom_target(${name} ALL DEPENDS ${results})
    set_target_properties(${name} PROPERTIES MEDIANT_SHIM_TREE ${tree} MEDIANT_SHIM_BPF TRUE)
    if(MEDIANT_BPF_CLANG)
        set_property(GLOBAL APPEND PROPERTY MEDIANT_BPF_SHIMS ${name})
        set_target_properties(${name} PROPERTIES MEDIANT_SHIM_OBJECT ${object})
    endif()
endfunction()

function(mediant_add_shim name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "TOOL;HEADER;TARGET;MODULE;OUTPUT;KERNEL_BUILD" "PROVIDER;INCLUDE;ALLOW")
    if(arg_UNPARSED_ARGUMENTS OR arg_KEYWORDS_MISSING_VALUES)
        message(FATAL_ERROR "mediant_add_shim(${name}): cannot make sense of: ${arg_UNPARSED_ARGUMENTS} ${arg_KEYWORDS_MISSING_VALUES}")
    endif()
    if(NOT arg_TARGET)
        set(arg_TARGET variant)
    endif()
    if(NOT arg_TARGET MATCHES "^(variant|provider|host|bpf)$")
        message(FATAL_ERROR "mediant_add_shim(${name}): TARGET ${arg_TARGET} is not variant, provider, host or bpf")
    endif()
    set(object_name ${arg_MODULE})
    if(arg_TARGET STREQUAL "bpf")
        if(arg_KERNEL_BUILD)
            message(FATAL_ERROR "mediant_add_shim(${name}): bpf has no KERNEL_BUILD, as its object is for all kernels")
        endif()
        if(NOT object_name)
            set(object_name ${arg_PROVIDER})
        endif()
        if(object_name MATCHES "[:;]")
            message(FATAL_ERROR "mediant_add_shim(${name}): bpf takes one PROVIDER, by its name unless there is a MODULE")
        endif()
    endif()
    foreach(word IN ITEMS TOOL PROVIDER HEADER MODULE)
        if(arg_TARGET STREQUAL "host" AND NOT word STREQUAL "TOOL")
            if(arg_${word})
                message(FATAL_ERROR "mediant_add_shim(${name}): a host has no ${word}")
            endif()
        elseif(NOT arg_${word} AND NOT word STREQUAL "MODULE")
            message(FATAL_ERROR "mediant_add_shim(${name}): ${word} is missing")
        endif()
    endforeach()
    if(NOT arg_OUTPUT)
        set(arg_OUTPUT ${name})
    endif()
    if(NOT arg_KERNEL_BUILD)
        set(arg_KERNEL_BUILD "${MEDIANT_KERNEL_BUILD}")
    endif()
    cmake_path(ABSOLUTE_PATH arg_OUTPUT BASE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR} NORMALIZE)
    set(header_option)
    if(arg_HEADER)
        cmake_path(ABSOLUTE_PATH arg_HEADER BASE_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR} NORMALIZE)
        if(NOT EXISTS ${arg_HEADER})
            message(FATAL_ERROR "mediant_add_shim(${name}): there is no header ${arg_HEADER}")
        endif()
        set(header_option --header ${arg_HEADER})
    endif()

    # mediant's own headers, which the tree gets copies of; the folder is the same in a build and in an installation.
    get_target_property(mediant_include mediant::mediant INTERFACE_INCLUDE_DIRECTORIES)
    string(REGEX REPLACE "\\$<BUILD_INTERFACE:([^>]*)>" "\\1" mediant_include "${mediant_include}")
    string(GENEX_STRIP "${mediant_include}" mediant_include)
    list(REMOVE_DUPLICATES mediant_include)
    set(inputs ${arg_HEADER})
    set(include_options)
    foreach(folder IN LISTS arg_INCLUDE mediant_include)
        cmake_path(ABSOLUTE_PATH folder BASE_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR} NORMALIZE)
        list(APPEND include_options -I ${folder})
    endforeach()
    foreach(folder IN LISTS mediant_include)
        file(GLOB_RECURSE headers CONFIGURE_DEPENDS ${folder}/mediant/*)
        list(APPEND inputs ${headers})
    endforeach()

    set(work ${CMAKE_CURRENT_BINARY_DIR}/${name}.shim)
    set(kernel ${CMAKE_CURRENT_BINARY_DIR}/${name}.kernel)
    set(tree ${arg_OUTPUT})
    set(object ${work}/policy.o)
    set(audit ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/audit-object)
    set(name_option)
    if(arg_MODULE)
        set(name_option --name ${arg_MODULE})
    endif()
    list(TRANSFORM arg_ALLOW PREPEND "--allow;" OUTPUT_VARIABLE allow)
    file(MAKE_DIRECTORY ${work})

    # What HEADER includes is part of the program too, so that a change there comes by way of the program. The stamp,
    # and not a file of the tree, is the output: the generator may leave files alone that stay the same.
    add_custom_command(OUTPUT ${work}/tree.stamp
        COMMAND $<TARGET_FILE:${arg_TOOL}> shim ${arg_PROVIDER} --target ${arg_TARGET} ${name_option}
            ${header_option} ${include_options} --out ${tree}
        COMMAND ${CMAKE_COMMAND} -E touch ${work}/tree.stamp
        DEPENDS ${arg_TOOL} ${inputs}
        COMMENT "Writing the module tree ${name}"
        VERBATIM)

    set(results ${work}/tree.stamp)
    if(arg_TARGET STREQUAL "bpf")
        mediant_add_bpf_object(${name} ${tree} ${work} "${object_name}" "${allow}")
        return()
    endif()
    set(audit_kernel)
    if(NOT arg_TARGET STREQUAL "host")
        mediant_kernel_like_flags(flags)
        add_custom_command(OUTPUT ${object}
            COMMAND ${CMAKE_CXX_COMPILER} ${flags} -I ${tree}/include -I ${tree} -MD -MT ${object} -MF ${object}.d
                -c ${tree}/policy.cpp -o ${object}
            DEPENDS ${work}/tree.stamp
            DEPFILE ${object}.d
            COMMENT "Compiling the policy object of ${name} as for a kernel"
            VERBATIM)
        add_custom_command(OUTPUT ${work}/audit.stamp
            COMMAND ${audit} ${allow} ${object}
            COMMAND ${CMAKE_COMMAND} -E touch ${work}/audit.stamp
            DEPENDS ${object} ${audit}
            COMMENT "Auditing the policy object of ${name}"
            VERBATIM)
        list(APPEND results ${work}/audit.stamp)
        set(audit_kernel COMMAND ${audit} ${allow} ${kernel}/policy.o)
    endif()

    if(arg_KERNEL_BUILD)
        # The tree stays as it was written. make -C must not take this build's own make for its parent.
        add_custom_command(OUTPUT ${work}/kernel.stamp
            COMMAND ${CMAKE_COMMAND} -E rm -rf ${kernel}
            COMMAND ${CMAKE_COMMAND} -E copy_directory ${tree} ${kernel}
            COMMAND ${CMAKE_COMMAND} -E env --unset=MAKEFLAGS --unset=MAKELEVEL --unset=MFLAGS
                make -s -C ${kernel} KDIR=${arg_KERNEL_BUILD} modules
            ${audit_kernel}
            COMMAND ${CMAKE_COMMAND} -E touch ${work}/kernel.stamp
            DEPENDS ${work}/tree.stamp ${audit}
            COMMENT "Building the module ${name} against ${arg_KERNEL_BUILD}"
            VERBATIM)
        list(APPEND results ${work}/kernel.stamp)
    endif()

    add_custom_target(${name} ALL DEPENDS ${results})
    set_target_properties(${name} PROPERTIES MEDIANT_SHIM_TREE ${tree})
    if(NOT arg_TARGET STREQUAL "host")
        set_property(GLOBAL APPEND PROPERTY MEDIANT_SHIMS ${name})
        set_target_properties(${name} PROPERTIES MEDIANT_SHIM_OBJECT ${object})
    endif()
    if(arg_KERNEL_BUILD)
        set_target_properties(${name} PROPERTIES MEDIANT_SHIM_KERNEL ${kernel})
    endif()
endfunction()
