# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
#
# The C++ compiler that belongs to the kernel's C compiler; make presets CXX, so that it says nothing.
mediant-cxx-of = $(if $(findstring /,$(1)),$(dir $(1)))$(subst clang,clang++,$(subst gcc,g++,$(notdir $(1))))
MEDIANT_CXX ?= $(foreach word,$(CC),$(call mediant-cxx-of,$(word)))

# Of the kernel's flags those that change what machine code may look like, whole: a dropped
# -mno-sse or -mno-red-zone would go unnoticed. No debug information: pahole does not take C++'s.
mediant-cxxflags = $(filter -m% -f% -O% -pg -DCC_USING% --target%,$(KBUILD_CFLAGS) $(KBUILD_CFLAGS_MODULE)) \
	-std=gnu++20 -ffreestanding -fno-exceptions -fno-rtti -fno-threadsafe-statics \
	-fno-use-cxa-atexit -fvisibility=hidden -g0 -Wall -Wextra -Wframe-larger-than=1024 \
	-Werror=return-type -I$(src)/include -I$(src)

quiet_cmd_mediant_policy = CXX [M]  $@
      cmd_mediant_policy = $(MEDIANT_CXX) -Wp,-MMD,$(depfile) $(mediant-cxxflags) -c -o $@ $< $(cmd_objtool)

$(obj)/policy.o: $(src)/policy.cpp FORCE
	$(call if_changed_dep,mediant_policy)

targets += policy.o

# C++ puts each function of a template into a section group. Where the kernel's linker script does
# not end these, as it does from 7.3 on, sections of one name stay, which 7.2 refuses to load.
ldflags-y += $(call ld-option,--force-group-allocation)
