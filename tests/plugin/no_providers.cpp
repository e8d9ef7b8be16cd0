// SPDX-License-Identifier: BSD-3-Clause

// A shared object of another kind.

extern "C" int something_else();
extern "C" int something_else() { return 1; }
