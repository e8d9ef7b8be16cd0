# SPDX-License-Identifier: BSD-3-Clause
#
# The host with providers that are BPF programs: on the kernel of the guest tests, if it can, on the newest, and on one
# between them. What mediant has written for BPF is one object each, and the same one on all.

set(MEDIANT_LIBBPF "" CACHE PATH "What cmake/setup/libbpf OUTDIR has made; none if empty")
if(NOT EXISTS "${MEDIANT_LIBBPF}/env" OR NOT MEDIANT_BPF_CLANG)
    message(STATUS "mediant: no libbpf of cmake/setup/libbpf or no clang-19, so no guest tests with BPF")
    return()
endif()

set(bpf_objects)
foreach(name IN ITEMS edu refused)
    set(object ${CMAKE_CURRENT_BINARY_DIR}/bpf/${name}.bpf.o)
    add_custom_command(OUTPUT ${object}
        COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_CURRENT_BINARY_DIR}/bpf
        COMMAND ${MEDIANT_BPF_CLANG} -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Wno-unused-parameter -Werror
            -isystem ${MEDIANT_LIBBPF}/include -isystem /usr/include/${CMAKE_CXX_LIBRARY_ARCHITECTURE}
            -I ${PROJECT_SOURCE_DIR}/include -MD -MT ${object} -MF ${object}.d
            -c ${CMAKE_CURRENT_SOURCE_DIR}/bpf/${name}.bpf.c -o ${object}
        DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/bpf/${name}.bpf.c
        DEPFILE ${object}.d
        COMMENT "Compiling ${name}.bpf.c"
        VERBATIM)
    list(APPEND bpf_objects ${object})
endforeach()
add_custom_target(guest-bpf-objects ALL DEPENDS ${bpf_objects})

mediant_guest_program(bpf_providers)
add_dependencies(guest-bpf_providers guest-bpf-objects)
target_include_directories(guest-bpf_providers SYSTEM PRIVATE ${MEDIANT_LIBBPF}/include)
target_link_libraries(guest-bpf_providers PRIVATE
    mediant::mediant ${MEDIANT_LIBBPF}/lib/libbpf.a -lelf -lz Threads::Threads)

# What mediant writes: objects, and modules of the same providers to be compared with.
set(MEDIANT_BPF_KERNEL "" CACHE PATH "What cmake/setup/kernel OUTDIR 6.12 has made, to run BPF providers; none if empty")
set(bpf_written)
if(TARGET mediant-bpf-static AND TARGET edu_bpf)
    add_executable(guest-bpf-policies bpf/main.cpp)
    target_link_libraries(guest-bpf-policies PRIVATE mediant::tool)
    mediant_warnings(guest-bpf-policies)
    set(policies ${CMAKE_CURRENT_SOURCE_DIR}/bpf/policies.hpp)
    set(every_kind ${PROJECT_SOURCE_DIR}/tests/conformance/every_kind.hpp)
    # mediant_guest_policy(TARGET KIND MODULE PROVIDER HEADER)
    function(mediant_guest_policy target kind module provider header)
        mediant_add_shim(${target}
            TOOL guest-bpf-policies TARGET ${kind} MODULE ${module} PROVIDER ${provider}
            HEADER ${header} INCLUDE ${PROJECT_SOURCE_DIR}/tests)
    endfunction()
    mediant_guest_policy(counted_bpf bpf counted edu ${policies})
    foreach(name IN ITEMS unchecked many_256 many_4096 many_hooks stateless elements many_fields)
        mediant_guest_policy(${name}_bpf bpf ${name} ${name} ${policies})
    endforeach()
    mediant_guest_policy(every_kind_bpf bpf every_kind every_kind ${every_kind})
    mediant_guest_policy(every_kind_provider provider every_kind_provider every_kind ${every_kind})
    foreach(name IN ITEMS edu counted unchecked many_256 many_4096 many_hooks stateless elements many_fields every_kind
            nvme nvme_bounded gpio_idio_16 igb_vf)
        get_target_property(object ${name}_bpf MEDIANT_SHIM_OBJECT)
        if(object)
            list(APPEND bpf_written --add ${object}:/${name}.bpf.o)
        endif()
    endforeach()
    # The verifier must name the line.
    file(READ ${policies} text)
    string(FIND "${text}" "what is wrong here" at)
    string(SUBSTRING "${text}" 0 ${at} text)
    string(REGEX REPLACE "[^\n]" "" text "${text}")
    string(LENGTH "${text}" mistake)
    math(EXPR mistake "${mistake} + 1")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${policies})
    if(NOT bpf_written)
        message(STATUS "mediant: no clang-19, so no guest tests of what it compiles")
    endif()
endif()

# mediant_guest_bpf_written(PREFIX KERNEL HOST REGISTRY EDU EVERY_KIND [FIXTURE...]): what mediant has written, on a kernel
# that can. HOST and the like are modules for it.
function(mediant_guest_bpf_written prefix folder host registry edu every_kind)
    if(NOT bpf_written)
        return()
    endif()
    set(common --on-demand ${registry} --on-demand ${host} --timeout 280 ${bpf_written}
        --add $<TARGET_FILE:mediant-bpf-static>:/mediant-bpf)
    mediant_guest_test(${prefix}bpf KERNEL ${folder}
        BOOT ${common} --add $<TARGET_FILE:guest-mediated_edu>:/mediated_edu
            --add $<TARGET_FILE:guest-observability>:/observability
            --add ${CMAKE_CURRENT_SOURCE_DIR}/bpf/tool.sh:/tool.sh
        RUN "sh /tool.sh ${mistake}")
    mediant_guest_test(${prefix}bpf.conformance KERNEL ${folder}
        BOOT ${common} --add $<TARGET_FILE:conformance-guest>:/conformance --add ${edu}:/edu_provider.ko
            --add ${every_kind}:/every_kind_provider.ko
            --add ${CMAKE_CURRENT_SOURCE_DIR}/bpf/conformance.sh:/conformance.sh
        RUN "sh /conformance.sh edu every_kind")
    mediant_guest_test(${prefix}bpf.exchanged KERNEL ${folder}
        BOOT ${common} --cpus 2 --qemu "-device edu" --add $<TARGET_FILE:guest-bpf_providers>:/bpf_providers
        RUN "modprobe vfio_pci_mediate && /bpf_providers exchanged /counted.bpf.o")
    if(ARGN)
        set_tests_properties(guest.${prefix}bpf guest.${prefix}bpf.conformance guest.${prefix}bpf.exchanged
            PROPERTIES FIXTURES_REQUIRED "${ARGN}")
    endif()
endfunction()

# mediant_guest_bpf_test(NAME HOST REGISTRY PROVIDER MODE [KERNEL FOLDER])
function(mediant_guest_bpf_test name host registry provider mode)
    mediant_guest_test(${name} ${ARGN}
        BOOT --on-demand ${registry} --on-demand ${host} --cpus 2 --timeout 280 --qemu "-device edu"
            --add ${provider}:/edu_provider.ko --add $<TARGET_FILE:guest-bpf_providers>:/bpf_providers
            --add ${CMAKE_CURRENT_BINARY_DIR}/bpf/edu.bpf.o:/edu.bpf.o
            --add ${CMAKE_CURRENT_BINARY_DIR}/bpf/refused.bpf.o:/refused.bpf.o
        RUN "modprobe vfio_pci_mediate && /bpf_providers ${mode}")
endfunction()

# The loader as a program. modprobe is kmod's, with all that it is linked against: busybox's knows no commands.
find_program(MEDIANT_KMOD NAMES kmod PATHS /usr/bin /bin)
mark_as_advanced(MEDIANT_KMOD)
set(loader)
if(TARGET mediant-bpf-static AND TARGET mediant_bpf_objects AND MEDIANT_KMOD)
    set(loader --add $<TARGET_FILE:mediant-bpf-static>:/mediant-bpf --add ${MEDIANT_KMOD}:/kmod/modprobe)
    execute_process(COMMAND ldd ${MEDIANT_KMOD} OUTPUT_VARIABLE libraries)
    string(REGEX MATCHALL "/[^ \n]+" libraries "${libraries}")
    foreach(library IN LISTS libraries)
        list(APPEND loader --add ${library}:${library})
    endforeach()
    foreach(object IN ITEMS edu edu_again other_identity out_of_bounds long_log later_call later_version)
        list(APPEND loader --add ${PROJECT_BINARY_DIR}/tests/bpf/${object}.bpf.o:/objects/${object}.bpf.o)
    endforeach()
    mediant_guest_program(bpf_loader)
    # All that the guest gets.
    add_custom_target(guest-bpf-loader-files ALL DEPENDS mediant-bpf-static mediant_bpf_objects)
    list(APPEND loader --add $<TARGET_FILE:guest-bpf_loader>:/bpf_loader)
endif()
# mediant_guest_loader_test(NAME HOST REGISTRY MODE [KERNEL FOLDER])
function(mediant_guest_loader_test name host registry mode)
    if(loader)
        mediant_guest_test(${name} ${ARGN}
            BOOT --on-demand ${registry} --on-demand ${host} ${loader}
            RUN "/bpf_loader ${mode}")
    endif()
endfunction()

# What this kernel can the host says itself, and is held to it.
file(STRINGS ${kernel}/env release REGEX "^KERNEL_RELEASE=")
string(REGEX REPLACE "^KERNEL_RELEASE=([0-9]+\\.[0-9]+).*" "\\1" release "${release}")
mediant_guest_option(btf ${MEDIANT_KERNEL_BUILD} CONFIG_DEBUG_INFO_BTF_MODULES)
set(mode unable)
if(btf AND release VERSION_GREATER_EQUAL 6.11)
    set(mode able)
endif()
get_target_property(host vfio_pci_mediate MEDIANT_SHIM_KERNEL)
get_target_property(folder edu_provider MEDIANT_SHIM_KERNEL)
mediant_guest_bpf_test(bpf_providers ${host}/vfio_pci_mediate.ko ${host}/registry/vfio_pci_mediate_core.ko
    ${folder}/edu_provider.ko ${mode})
if(mode STREQUAL able AND TARGET every_kind_provider)
    get_target_property(every every_kind_provider MEDIANT_SHIM_KERNEL)
    mediant_guest_bpf_written("" ${kernel} ${host}/vfio_pci_mediate.ko ${host}/registry/vfio_pci_mediate_core.ko
        ${folder}/edu_provider.ko ${every}/every_kind_provider.ko)
endif()
mediant_guest_loader_test(bpf_loader ${host}/vfio_pci_mediate.ko ${host}/registry/vfio_pci_mediate_core.ko ${mode})

# mediant_guest_bpf_modules(PREFIX FOLDER): the host and its providers as a customer would build them for another kernel,
# in PREFIX/, fixtures of them: PREFIX_host, PREFIX_provider, PREFIX_every_kind, and all tests on it.
function(mediant_guest_bpf_modules prefix folder)
    set(built ${CMAKE_CURRENT_BINARY_DIR}/${prefix})
    file(STRINGS ${folder}/env headers REGEX "^KERNEL_BUILD=")
    string(REGEX REPLACE "^KERNEL_BUILD=" "" headers "${headers}")
    set(all host:vfio_pci_mediate:host provider:edu_provider:provider)
    if(TARGET every_kind_provider)
        list(APPEND all every_kind:every_kind_provider:provider)
    endif()
    foreach(one IN LISTS all)
        string(REPLACE ":" ";" one ${one})
        list(GET one 0 name)
        list(GET one 1 target)
        list(GET one 2 kind)
        set(alias)
        if(kind STREQUAL provider)
            set(alias vfio-pci-mediate-1234-11e8)
        endif()
        get_target_property(tree ${target} MEDIANT_SHIM_TREE)
        add_test(NAME module.${prefix}.${name}
            COMMAND ${PROJECT_SOURCE_DIR}/tests/module/check --keep ${built}/${target}.ko ${tree} ${headers} ${kind}
                ${alias})
        set_tests_properties(module.${prefix}.${name} PROPERTIES
            LABELS module TIMEOUT 300 FIXTURES_SETUP ${prefix}_${name})
    endforeach()
    mediant_guest_bpf_written(${prefix}. ${folder} ${built}/vfio_pci_mediate.ko ${built}/vfio_pci_mediate_core.ko
        ${built}/edu_provider.ko ${built}/every_kind_provider.ko
        ${prefix}_host ${prefix}_provider ${prefix}_every_kind)
    set(modules ${built}/vfio_pci_mediate.ko ${built}/vfio_pci_mediate_core.ko)
    mediant_guest_bpf_test(${prefix}.bpf_providers ${modules} ${built}/edu_provider.ko able KERNEL ${folder})
    set_tests_properties(guest.${prefix}.bpf_providers PROPERTIES FIXTURES_REQUIRED "${prefix}_host;${prefix}_provider")
    mediant_guest_loader_test(${prefix}.bpf_loader ${modules} able KERNEL ${folder})
    if(TEST guest.${prefix}.bpf_loader)
        set_tests_properties(guest.${prefix}.bpf_loader PROPERTIES FIXTURES_REQUIRED ${prefix}_host)
    endif()
endfunction()

if(EXISTS "${MEDIANT_BPF_KERNEL}/env")
    mediant_guest_bpf_modules(6.12 ${MEDIANT_BPF_KERNEL})
endif()
if(EXISTS "${MEDIANT_NEWEST_KERNEL}/env")
    mediant_guest_bpf_modules(newest ${MEDIANT_NEWEST_KERNEL})
    set(newest ${CMAKE_CURRENT_BINARY_DIR}/newest)
    # As it is where its build found no vmlinux, or no pahole.
    add_test(NAME module.newest.host_without_types
        COMMAND ${CMAKE_COMMAND} -E env ${CMAKE_OBJCOPY} --remove-section=.BTF --remove-section=.BTF.base
            ${newest}/vfio_pci_mediate.ko ${newest}/without_types/vfio_pci_mediate.ko)
    file(MAKE_DIRECTORY ${newest}/without_types)
    set_tests_properties(module.newest.host_without_types PROPERTIES
        LABELS module TIMEOUT 60 FIXTURES_REQUIRED newest_host FIXTURES_SETUP newest_host_without_types)
    mediant_guest_bpf_test(newest.bpf_without_types ${newest}/without_types/vfio_pci_mediate.ko
        ${newest}/vfio_pci_mediate_core.ko ${newest}/edu_provider.ko typeless KERNEL ${MEDIANT_NEWEST_KERNEL})
    set_tests_properties(guest.newest.bpf_without_types PROPERTIES
        FIXTURES_REQUIRED "newest_host;newest_provider;newest_host_without_types")
endif()
