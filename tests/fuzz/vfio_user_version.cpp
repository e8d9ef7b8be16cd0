// SPDX-License-Identifier: BSD-3-Clause
// libFuzzer target: the JSON of VERSION. What is accepted is written and read back to the same.
// long: 8500000
#include <mediant/vfio_user/version.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

using namespace mediant::vfio_user;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto found = parse_capabilities(std::as_bytes(std::span{data, size}));
    if (!found) return 0;
    std::array<char, capabilities_room> text;
    const auto length = write_capabilities(text, *found);
    const auto again = parse_capabilities(std::as_bytes(std::span{text}.first(length)));
    if (!again || *again != *found) std::abort();
    return 0;
}
