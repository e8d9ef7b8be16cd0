// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Catch2 3 under the names that Catch2 2's one header has.
#include <catch2/catch_all.hpp>

#include <cstddef>
#include <string>

using Catch::Approx;

// Of a text, Catch2 2's Contains means a part of it; Catch2 3's means one character.
namespace Catch::Matchers {
template <std::size_t N>
StringContainsMatcher Contains(const char (&part)[N]) {
    return ContainsSubstring(part);
}
inline StringContainsMatcher Contains(const char* const& part) { return ContainsSubstring(part); }
inline StringContainsMatcher Contains(const std::string& part) { return ContainsSubstring(part); }
inline StringContainsMatcher Contains(std::string& part) { return ContainsSubstring(part); }
inline StringContainsMatcher Contains(std::string&& part) { return ContainsSubstring(part); }
} // namespace Catch::Matchers
