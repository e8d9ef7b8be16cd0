/* SPDX-License-Identifier: BSD-3-Clause */
/* expect: data that is written, which all devices would share, in section .bss: counter */
#define AT_TOP static int counter __attribute__((nodebug));
#define IN_READ return counter++;
#include "provider.h"
