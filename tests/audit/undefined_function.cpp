// SPDX-License-Identifier: BSD-3-Clause

namespace elsewhere {
int a_function(int);
}

int caller(int a) { return elsewhere::a_function(a) + 1; }
