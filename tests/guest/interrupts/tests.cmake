# SPDX-License-Identifier: BSD-3-Clause
#
# Interrupts that BPF providers raise, on the newest kernel: the same test and the same policies.

if(NOT TARGET mediant-bpf-static OR NOT TARGET guest-interrupts-providers OR NOT MEDIANT_BPF_CLANG OR
   NOT EXISTS "${MEDIANT_NEWEST_KERNEL}/env")
    return()
endif()
set(newest ${CMAKE_CURRENT_BINARY_DIR}/newest)
set(objects)
set(attach)
foreach(kind IN ITEMS edu nic)
    mediant_add_shim(raising_${kind}_bpf
        TOOL guest-interrupts-providers TARGET bpf PROVIDER raising_${kind}
        HEADER interrupts/providers.hpp INCLUDE ${CMAKE_CURRENT_SOURCE_DIR})
    get_target_property(object raising_${kind}_bpf MEDIANT_SHIM_OBJECT)
    list(APPEND objects --add ${object}:/raising_${kind}.bpf.o)
    string(APPEND attach "/mediant-bpf attach /raising_${kind}.bpf.o && ")
endforeach()
add_custom_target(guest-interrupts-loader ALL DEPENDS mediant-bpf-static)
mediant_guest_test(newest.interrupts.bpf KERNEL ${MEDIANT_NEWEST_KERNEL}
    BOOT --on-demand ${newest}/vfio_pci_mediate_core.ko --on-demand ${newest}/vfio_pci_mediate.ko ${objects}
        --add $<TARGET_FILE:mediant-bpf-static>:/mediant-bpf ${interrupts}
    RUN "modprobe vfio_pci_mediate && mount -t bpf bpf /sys/fs/bpf && ${attach} /interrupts vfio_pci_mediate exact")
set_tests_properties(guest.newest.interrupts.bpf PROPERTIES FIXTURES_REQUIRED newest_host)
