/* SPDX-License-Identifier: BSD-3-Clause */
/* expect: no types .section .BTF. */
/* flags: -g0 */
#include "provider.h"
