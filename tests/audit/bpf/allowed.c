/* SPDX-License-Identifier: BSD-3-Clause */
/* audit: --allow vendors_* */
#define AT_TOP extern int vendors_function(unsigned int) __attribute__((nodebug));
#define IN_READ return vendors_function(words[1]);
#include "provider.h"
