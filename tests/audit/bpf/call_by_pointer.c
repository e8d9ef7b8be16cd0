/* SPDX-License-Identifier: BSD-3-Clause */
/* expect: call by a pointer .a virtual function.., which the kernel refuses, in mediant_read */
#define IN_READ return ((int (*)(void))words[1])();
#include "provider.h"
