/* SPDX-License-Identifier: BSD-3-Clause */
/* expect: a group of sections .COMDAT., which loaders refuse: mediant_table$ */
#define AT_TOP                                                                   \
	asm(".section .rodata.table,\"aG\",@progbits,mediant_table,comdat\n" \
	    ".type mediant_table,@object\n.weak mediant_table\nmediant_table: .long 1\n.size mediant_table, 4\n.text");
#include "provider.h"
