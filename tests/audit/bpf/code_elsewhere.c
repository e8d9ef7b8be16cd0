/* SPDX-License-Identifier: BSD-3-Clause */
/* expect: function out of line.*: mediant_kprobe */
#define AT_TOP SECTION("kprobe/vfio") int mediant_kprobe(void *words) { return 0; }
#include "provider.h"
