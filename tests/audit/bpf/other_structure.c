/* SPDX-License-Identifier: BSD-3-Clause */
/* expect: no struct mediant_bpf_ops, by which the host knows a provider */
#define mediant_bpf_ops mediant_other_ops
#include "provider.h"
