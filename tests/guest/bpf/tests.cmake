# SPDX-License-Identifier: BSD-3-Clause
#
# The host with providers that are BPF programs: on the kernel of the guest tests, if it can, and on the newest.

set(MEDIANT_LIBBPF "" CACHE PATH "What cmake/setup/libbpf OUTDIR has made; none if empty")
find_program(MEDIANT_BPF_CLANG NAMES clang-19 clang DOC "A clang for BPF")
mark_as_advanced(MEDIANT_BPF_CLANG)
if(NOT EXISTS "${MEDIANT_LIBBPF}/env" OR NOT MEDIANT_BPF_CLANG)
    message(STATUS "mediant: no libbpf of cmake/setup/libbpf or no clang, so no guest tests with BPF")
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
    foreach(object IN ITEMS edu edu_again other_identity out_of_bounds long_log later_version)
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
mediant_guest_loader_test(bpf_loader ${host}/vfio_pci_mediate.ko ${host}/registry/vfio_pci_mediate_core.ko ${mode})

if(EXISTS "${MEDIANT_NEWEST_KERNEL}/env")
    set(newest ${CMAKE_CURRENT_BINARY_DIR}/newest)
    file(STRINGS ${MEDIANT_NEWEST_KERNEL}/env headers REGEX "^KERNEL_BUILD=")
    string(REGEX REPLACE "^KERNEL_BUILD=" "" headers "${headers}")
    foreach(kind IN ITEMS host provider)
        set(target vfio_pci_mediate)
        set(alias)
        if(kind STREQUAL provider)
            set(target edu_provider)
            set(alias vfio-pci-mediate-1234-11e8)
        endif()
        get_target_property(tree ${target} MEDIANT_SHIM_TREE)
        add_test(NAME module.newest.${kind}
            COMMAND ${PROJECT_SOURCE_DIR}/tests/module/check --keep ${newest}/${target}.ko ${tree} ${headers} ${kind}
                ${alias})
        set_tests_properties(module.newest.${kind} PROPERTIES
            LABELS module TIMEOUT 300 FIXTURES_SETUP newest_${kind})
    endforeach()
    # As it is where its build found no vmlinux, or no pahole.
    add_test(NAME module.newest.host_without_types
        COMMAND ${CMAKE_COMMAND} -E env ${CMAKE_OBJCOPY} --remove-section=.BTF --remove-section=.BTF.base
            ${newest}/vfio_pci_mediate.ko ${newest}/without_types/vfio_pci_mediate.ko)
    file(MAKE_DIRECTORY ${newest}/without_types)
    set_tests_properties(module.newest.host_without_types PROPERTIES
        LABELS module TIMEOUT 60 FIXTURES_REQUIRED newest_host FIXTURES_SETUP newest_host_without_types)
    set(others ${newest}/vfio_pci_mediate_core.ko ${newest}/edu_provider.ko)
    mediant_guest_bpf_test(newest.bpf_providers ${newest}/vfio_pci_mediate.ko ${others} able
        KERNEL ${MEDIANT_NEWEST_KERNEL})
    mediant_guest_bpf_test(newest.bpf_without_types ${newest}/without_types/vfio_pci_mediate.ko ${others} typeless
        KERNEL ${MEDIANT_NEWEST_KERNEL})
    mediant_guest_loader_test(newest.bpf_loader ${newest}/vfio_pci_mediate.ko ${newest}/vfio_pci_mediate_core.ko able
        KERNEL ${MEDIANT_NEWEST_KERNEL})
    if(TEST guest.newest.bpf_loader)
        set_tests_properties(guest.newest.bpf_loader PROPERTIES FIXTURES_REQUIRED newest_host)
    endif()
    set_tests_properties(guest.newest.bpf_providers PROPERTIES FIXTURES_REQUIRED "newest_host;newest_provider")
    set_tests_properties(guest.newest.bpf_without_types PROPERTIES
        FIXTURES_REQUIRED "newest_host;newest_provider;newest_host_without_types")
endif()
