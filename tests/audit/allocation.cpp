// SPDX-License-Identifier: BSD-3-Clause

int* allocates() { return new int{1}; }
