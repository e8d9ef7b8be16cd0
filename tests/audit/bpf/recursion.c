/* SPDX-License-Identifier: BSD-3-Clause */
/* expect: function out of line, where a program is one function .is it recursive.*: fibonacci$ */
#define AT_TOP static int fibonacci(int n) { return n < 2 ? n : fibonacci(n - 1) * fibonacci(n - 2); }
#define IN_READ return fibonacci(words[1]);
#include "provider.h"
