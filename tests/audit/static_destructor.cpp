// SPDX-License-Identifier: BSD-3-Clause

int counter = 0;

[[gnu::destructor]] void at_exit() { ++counter; }
