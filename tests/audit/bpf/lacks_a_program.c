/* SPDX-License-Identifier: BSD-3-Clause */
/* expect: its operations lack release, write$ */
#define OPS OP(open), OP(reset), OP(read), FACTS
#include "provider.h"
