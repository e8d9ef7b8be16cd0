/* SPDX-License-Identifier: BSD-3-Clause */
/* expect: data that is written, which all devices would share, in section .maps: mediant_map */
#define AT_TOP struct mediant_map_type { int (*type)[1]; }; SECTION(".maps") struct mediant_map_type mediant_map;
#include "provider.h"
