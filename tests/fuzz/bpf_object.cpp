// SPDX-License-Identifier: BSD-3-Clause
// runs: 20000

/// \file
/// Objects that claim to be providers. What is read of one that passes is bounded.

#include <mediant/bpf/object.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

extern "C" int LLVMFuzzerInitialize(int*, char***) {
    ::libbpf_set_print(nullptr);
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    try {
        const mediant::bpf::object_description what = mediant::bpf::describe(
            {reinterpret_cast<const std::byte*>(data), size}, "input");
        if (!mediant::bpf::is_provider_name(what.name) || what.rules.size() > mediant::bpf::most_elements ||
            what.ranges.size() > mediant::bpf::most_elements)
            std::abort();
        for (const mediant::bpf::op_program& one : what.programs)
            if ((one.op + one.program + what.license).find('\x1b') != std::string::npos) std::abort();
    } catch (const mediant::bpf::error&) {}
    return 0;
}
