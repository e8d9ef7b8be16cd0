# SPDX-License-Identifier: BSD-3-Clause
#
# mediant_warnings(TARGET...): the warnings that mediant's own programs are free of. Users' targets never get them.
set(mediant_warning_flags -Wall -Wextra -Wpedantic -Wconversion -Wshadow)

function(mediant_warnings)
    foreach(target IN LISTS ARGN)
        target_compile_options(${target} PRIVATE ${mediant_warning_flags} $<$<BOOL:${MEDIANT_WERROR}>:-Werror>)
    endforeach()
endfunction()
