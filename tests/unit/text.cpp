// SPDX-License-Identifier: BSD-3-Clause
#include <mediant/core/text.hpp>

#include <catch2/catch.hpp>

#include <string_view>

using namespace mediant;

namespace acme {
struct edu {};
template <class T>
struct holder {};
} // namespace acme

TEST_CASE("text holds a literal without its terminator") {
    constexpr text name{"IDENT"};
    CHECK(name.view() == "IDENT");
    CHECK(std::string_view{name.c_str()} == "IDENT");
    CHECK(text{""}.view().empty());
    static_assert(text<3>{std::string_view{"abc"}}.view() == "abc");
}

TEST_CASE("text is built up, and never past its capacity") {
    text_builder<8> out;
    out.add("abc").hex(0x1e8, 4).add("xyz");
    CHECK(out.view() == "abc01e8x");
    text_builder<20> digits;
    digits.hex(0xdeadbeef, 8, text_builder<20>::letters::upper).add("-").hex(0x12345, 4);
    CHECK(digits.view() == "DEADBEEF-2345");
    CHECK(text_builder<20>{}.hex(~0ull, 16).view() == "ffffffffffffffff");
}

TEST_CASE("types have the names that compilers print") {
    CHECK(type_name<acme::edu>() == "acme::edu");
    CHECK(type_name<int>() == "int");
    CHECK(type_name<acme::holder<acme::edu>>() == "acme::holder<acme::edu>");
}
