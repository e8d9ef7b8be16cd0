// SPDX-License-Identifier: BSD-3-Clause
// audit: --allow runs_at_start

extern "C" int runs_at_start();

int constructed = runs_at_start();
