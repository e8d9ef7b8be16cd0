/* SPDX-License-Identifier: BSD-3-Clause */
/* expect: licence "Proprietary" is not compatible with the GPL */
#define LICENSE "Proprietary"
#include "provider.h"
