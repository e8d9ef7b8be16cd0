/* SPDX-License-Identifier: BSD-3-Clause */
/* expect: licence "" is not compatible with the GPL */
#define NO_LICENSE
#include "provider.h"
