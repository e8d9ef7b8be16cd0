// SPDX-License-Identifier: BSD-3-Clause

long double uses_x87(long double a, long double b) { return a * b; }
