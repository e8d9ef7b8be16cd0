/* SPDX-License-Identifier: BSD-3-Clause */
/* expect: function out of line.*: adds$ */
#define AT_TOP                                                                   \
	asm(".section .text.adds,\"axG\",@progbits,adds,comdat\n"            \
	    ".type adds,@function\n.weak adds\nadds: exit\n.size adds, .-adds\n.text");
#include "provider.h"
