// SPDX-License-Identifier: BSD-3-Clause
// audit: --allow named_by_the_caller --allow its_family_*

extern "C" int named_by_the_caller(int);
extern "C" int its_family_of_names(int);

int caller(int a) { return named_by_the_caller(a) + its_family_of_names(a); }
