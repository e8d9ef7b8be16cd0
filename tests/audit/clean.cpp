// SPDX-License-Identifier: BSD-3-Clause

// What policies do: memory functions of the kernel, tables, indirect calls.
struct below {
    int (*load)(void*, unsigned long long*);
    void* device;
};
static const unsigned table[4] = {1, 2, 3, 4};

int clean(const below& device, unsigned char* to, const unsigned char* from, unsigned long size) {
    __builtin_memcpy(to, from, size);
    unsigned long long value = 0;
    const int status = device.load(device.device, &value);
    return status != 0 ? status : static_cast<int>(table[value % 4]);
}
