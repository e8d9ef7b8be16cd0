# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
#
# The C++ compiler that belongs to the kernel's C compiler; make presets CXX, so that it says nothing.
mediant-cxx-of = $(if $(findstring /,$(1)),$(dir $(1)))$(subst clang,clang++,$(subst gcc,g++,$(notdir $(1))))
MEDIANT_CXX ?= $(foreach word,$(CC),$(call mediant-cxx-of,$(word)))

# Of the kernel's flags those that change what machine code may look like, whole: a dropped
# -mno-sse or -mno-red-zone would go unnoticed. No debug information: pahole does not take C++'s.
mediant-cxxflags = $(filter-out $(mediant-not-cxx), \
	$(filter -m% -f% -O% -pg -DCC_USING% --target%,$(KBUILD_CFLAGS) $(KBUILD_CFLAGS_MODULE))) \
	-std=gnu++20 -ffreestanding -fno-exceptions -fno-rtti -fno-threadsafe-statics \
	-fno-use-cxa-atexit -fvisibility=hidden -g0 -Wall -Wextra -Wframe-larger-than=$(mediant-most-frame) \
	-Werror=return-type -I$(src)/include -I$(src)

# KASAN puts a zone around each variable.
mediant-most-frame := $(if $(CONFIG_KASAN),2048,1024)

# clang then refuses the standard library's mere mention of long double; uses are found below. The
# plugins of a gcc are made for C.
mediant-not-cxx := -fplugin% $(if $(findstring clang,$(MEDIANT_CXX)),-mno-80387 -mno-fp-ret-in-387)

# In a kernel with KASAN the policy is watched too; all but its globals, which would need constructors.
ifeq ($(findstring clang,$(MEDIANT_CXX)),)
mediant-cxxflags += $(if $(CONFIG_KASAN),$(CFLAGS_KASAN) --param asan-globals=0)
endif

# What would load and then break, silently: floating point, and what a constructor, a destructor or a
# thread would have to set up.
mediant-floating := %(st|[xyz]mm[0-9])
mediant-run-time := \.(init_array|fini_array|ctors|dtors|tbss|tdata)
cmd_mediant_audit = ; \
	if $(OBJDUMP) -d $@ | grep -qE '$(mediant-floating)'; then \
		echo >&2 "$<: error: the policy uses floating point"; rm -f $@; false; \
	elif $(OBJDUMP) -h $@ | grep -qE '$(mediant-run-time)'; then \
		echo >&2 "$<: error: the policy needs initialisation at run time"; rm -f $@; false; \
	fi

quiet_cmd_mediant_policy = CXX [M]  $@
      cmd_mediant_policy = $(MEDIANT_CXX) -Wp,-MMD,$(depfile) $(mediant-cxxflags) -c -o $@ $< $(cmd_objtool) \
	$(cmd_mediant_audit)

$(obj)/policy.o: $(src)/policy.cpp FORCE
	$(call if_changed_dep,mediant_policy)

targets += policy.o

# C++ puts each function of a template into a section group. Where the kernel's linker script does
# not end these, as it does from 7.3 on, sections of one name stay, which 7.2 refuses to load.
ldflags-y += $(call ld-option,--force-group-allocation)
