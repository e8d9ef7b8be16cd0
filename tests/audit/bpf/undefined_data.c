/* SPDX-License-Identifier: BSD-3-Clause */
/* expect: undefined symbol elsewhere is not one of the host.s functions, in mediant_read */
#define AT_TOP extern int elsewhere __attribute__((nodebug));
#define IN_READ return elsewhere;
#include "provider.h"
