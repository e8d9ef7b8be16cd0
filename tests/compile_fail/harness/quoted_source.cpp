// SPDX-License-Identifier: BSD-3-Clause
// expect: only_in_the_quoted_line
#ifndef MEDIANT_CORRECT
int undeclared_is_used = undeclared + sizeof("only_in_the_quoted_line");
#endif
