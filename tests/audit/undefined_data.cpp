// SPDX-License-Identifier: BSD-3-Clause

extern "C" int a_variable_elsewhere;

int* const* address_of_it() {
    static int* const address = &a_variable_elsewhere;
    return &address;
}
