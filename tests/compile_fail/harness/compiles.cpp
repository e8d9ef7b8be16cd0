// SPDX-License-Identifier: BSD-3-Clause
// expect: a mistake
static_assert(true, "a mistake");
