/* SPDX-License-Identifier: BSD-3-Clause */
/* expect: undefined symbol elsewhere is not one of the host.s functions, in mediant_read, at .*provider\.h:[0-9]+ */
#define AT_TOP extern int elsewhere(unsigned int) __attribute__((nodebug));
#define IN_READ return elsewhere(words[1]);
#include "provider.h"
