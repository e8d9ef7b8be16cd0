/* SPDX-License-Identifier: BSD-3-Clause */
/* expect: function out of line, where a program is one function .*: adds$ */
#define AT_TOP static __attribute__((noinline)) int adds(int a, int b) { return a * b + a; }
#define IN_READ return adds(words[1], words[2]);
#include "provider.h"
