/* SPDX-License-Identifier: BSD-3-Clause */
/* expect: no structure of its operations .section .struct_ops.link. */
#define SECTION_OF_OPS ".struct_ops"
#include "provider.h"
