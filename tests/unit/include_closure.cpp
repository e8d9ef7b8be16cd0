// SPDX-License-Identifier: BSD-3-Clause

#include <mediant/kernel/include_closure.hpp>
#include <mediant/kernel/include_scanner.hpp>

#include <unit/temporary_folder.hpp>

#include <catch2/catch.hpp>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace {
using namespace mediant::kernel;
using Catch::Matchers::Contains;

/// The includes of a source, as "LINE:<NAME>" or "LINE:"NAME"", with '?' behind what is optional.
std::string scanned(std::string_view source) {
    std::string out;
    for (const include_directive& found : include_scanner::scan(source)) {
        out += (out.empty() ? "" : " ") + std::to_string(found.line) + ':';
        switch (found.how) {
        case include_directive::form::quoted: out += '"' + found.name + '"'; break;
        case include_directive::form::angled: out += '<' + found.name + '>'; break;
        case include_directive::form::computed: out += '=' + found.name; break;
        case include_directive::form::next: out += '+' + found.name; break;
        }
        if (found.optional) out += '?';
    }
    return out;
}

std::string error_of(const closure_request& what) {
    try {
        static_cast<void>(include_closure::of(what));
    } catch (const shim_error& wrong) {
        return wrong.what();
    }
    return "no error";
}

std::string names_of(const closure& what) {
    std::string out;
    for (const auto& [path, text] : what.files) out += (out.empty() ? "" : " ") + path;
    return out;
}

} // namespace

TEST_CASE("the scanner finds what a compiler would") {
    CHECK(scanned("#include <a>\n  #  include\t\"b/c.h\" // why\n%:include <d>\n#import <e>") ==
          R"(1:<a> 2:"b/c.h" 3:<d> 4:<e>)");
    CHECK(scanned("\xef\xbb\xbf#include <a>\r\n#include <b>\r\n") == "1:<a> 2:<b>");
    CHECK(scanned("/* */ #include <a>\n/*\n*/#/**/include/* */<b>\n") == "1:<a> 3:<b>");
    CHECK(scanned("#inc\\\nlude \\\n<a>\n#include <b>") == "1:<a> 4:<b>");
    CHECK(scanned("#include <a//b>\n#include <c/*d>\n#include <e>") == "1:<a//b> 2:<c/*d> 3:<e>");
    CHECK(scanned("#include NAME(x) /* made */\n#include_next <a>\n#include \"open\n#include <b>") ==
          "1:=NAME(x) 2:+a 3:=\"open 4:<b>");
    CHECK(scanned("") == "");
    CHECK(scanned("#") == "");
    CHECK(scanned("#include") == "1:=");
}

TEST_CASE("the scanner passes over what is not a directive") {
    CHECK(scanned("// #include <a>\n/*\n#include <b>\n*/\nx #include <c>\n") == "");
    CHECK(scanned("// continued \\\n#include <a>\n#include <b>") == "3:<b>");
    CHECK(scanned("auto s = \"\\\"\n#include <a>\n") == "2:<a>"); // an unfinished string ends with its line
    CHECK(scanned("auto s = \"/*\";\n#include <a>\nauto t = \"*/\";") == "2:<a>");
    CHECK(scanned("auto s = R\"(\n#include <a>\n)\";\n#include <b>") == "4:<b>");
    CHECK(scanned("auto s = u8R\"x(\n)\"\n#include <a>\n)x\";\n#include <b>") == "5:<b>");
    CHECK(scanned("auto s = FOOR\"(\";\n#include <b>") == "2:<b>"); // not a raw string's prefix
    CHECK(scanned("int n = 1'000'000; char c = '\"';\n#include <a>\n") == "2:<a>");
    CHECK(scanned("int n = 0x1'f; char c = '\\'';\n#include <a>\n") == "2:<a>");
    CHECK(scanned("#error don't\n#include <a>") == "2:<a>");
    CHECK(scanned("#define X \"\n#include <a>") == "2:<a>");
    CHECK(scanned("/* never closed\n#include <a>") == "");
    CHECK(scanned("R\"(never closed\n#include <a>") == "");
}

TEST_CASE("the scanner leaves out what is for hosted compilers alone") {
    CHECK(scanned("#if __STDC_HOSTED__\n#include <a>\n#else\n#include <b>\n#endif\n#include <c>") == "4:<b> 6:<c>");
    CHECK(scanned("#if !__STDC_HOSTED__\n#include <a>\n#else\n#include <b>\n#endif") == "2:<a>");
    CHECK(scanned("#if (__STDC_HOSTED__ == 1) && __has_include(<a>)\n#include <a>\n#endif") == "");
    CHECK(scanned("#if __STDC_HOSTED__ || X\n#include <a>\n#endif") == "2:<a>");
    CHECK(scanned("#if X\n#include <a>\n#elif __STDC_HOSTED__\n#include <b>\n#else\n#include <c>\n#endif") ==
          "2:<a> 6:<c>");
    CHECK(scanned("#if 0\n#if X\n#include <a>\n#endif\n#include <b>\n#endif\n#include <c>") == "7:<c>");
    CHECK(scanned("#if __STDC_HOSTED__ /* yes\n*/\n#include <a>\n#endif") == "");
    CHECK(scanned("#ifdef __STDC_HOSTED__\n#include <a>\n#endif") == "2:<a>"); // always defined
    CHECK(scanned("#endif\n#else\n#elif X\n#include <a>") == "4:<a>");
}

TEST_CASE("the scanner marks what is asked for") {
    CHECK(scanned("#if __has_include(\"a.h\") && X\n#include \"a.h\"\n#include \"b.h\"\n#endif") ==
          R"(2:"a.h"? 3:"b.h")");
    CHECK(scanned("#if __has_include( <a> )\n#include <a>\n#else\n#include <b>\n#endif") == "2:<a>? 4:<b>");
}

TEST_CASE("a closure holds what its headers include") {
    mediant::test::temporary_folder at;
    at.put("own/mediant/mediant.hpp", "#include <mediant/core.hpp>\n#include <cstdint>\n");
    at.put("own/mediant/core.hpp", "#include <array>\n");
    at.put("own/mediant/abi.h", "");
    at.put("acme/nic/nic.hpp", "#include \"regs.hpp\"\n#include \"../common/types.hpp\"\n#include "
                               "<acme/api.hpp>\n#include \"mediant/mediant.hpp\"\n");
    at.put("acme/nic/regs.hpp", "#include <mediant/mediant.hpp>\n");
    at.put("acme/common/types.hpp", "#pragma once\n#include \"array\"\n");
    at.put("sdk/acme/api.hpp", "#include \"detail/impl.hpp\"\n#include \"other.hpp\"\n");
    at.put("sdk/acme/detail/impl.hpp", "#include \"../api.hpp\"\n");
    at.put("sdk2/acme/api.hpp", "#include <vector>\n");
    at.put("sdk2/other.hpp", "");
    const closure_request request{{at / "acme/nic/nic.hpp"}, {at / "sdk", at / "sdk2"}, at / "own", {"mediant/abi.h"}};
    const closure found = include_closure::of(request);

    CHECK(names_of(found) == "acme/api.hpp acme/detail/impl.hpp common/types.hpp mediant/abi.h mediant/core.hpp "
                             "mediant/mediant.hpp nic/nic.hpp nic/regs.hpp other.hpp");
    CHECK(found.headers == std::vector<std::string>{"nic/nic.hpp"});
    CHECK(found.files.at("common/types.hpp") == "#pragma once\n#include \"array\"\n");
}

TEST_CASE("a header below -I keeps its name there, another goes to the top") {
    mediant::test::temporary_folder at;
    at.put("src/acme/nic.hpp", "#include \"../acme/regs.hpp\"\n");
    at.put("src/acme/regs.hpp", "");
    CHECK(names_of(include_closure::of({{at / "src/acme/nic.hpp"}, {at / "src"}, {}, {}})) ==
          "acme/nic.hpp acme/regs.hpp");
    at.put("src/acme/solo.hpp", "#include \"regs.hpp\"\n");
    const closure alone = include_closure::of({{at / "src/acme/solo.hpp"}, {}, {}, {}});
    CHECK(names_of(alone) == "regs.hpp solo.hpp");
    CHECK(alone.headers == std::vector<std::string>{"solo.hpp"});
}

TEST_CASE("headers of two providers do not meet") {
    mediant::test::temporary_folder at;
    at.put("a/nic.hpp", "");
    at.put("b/nic.hpp", "");
    const closure both = include_closure::of({{at / "a/nic.hpp", at / "b/nic.hpp"}, {}, {}, {}});
    CHECK(names_of(both) == "a/nic.hpp b/nic.hpp");
    CHECK(both.headers == std::vector<std::string>{"a/nic.hpp", "b/nic.hpp"});
}

TEST_CASE("one file under two names is there once") {
    mediant::test::temporary_folder at;
    at.put("src/nic.hpp", "#include \"lib/types.hpp\"\n#include <types.hpp>\n");
    at.put("src/lib/types.hpp", "#pragma once\nstruct t {};\n");
    const closure found = include_closure::of({{at / "src/nic.hpp"}, {at / "src/lib"}, {}, {}});
    CHECK(names_of(found) == "lib/types.hpp nic.hpp types.hpp");
    CHECK_THAT(found.files.at("types.hpp"), Contains("#pragma once\n#include <lib/types.hpp>\n"));
}

TEST_CASE("headers that include each other end") {
    mediant::test::temporary_folder at;
    at.put("a.hpp", "#pragma once\n#include \"b.hpp\"\n#include \"./a.hpp\"\n");
    at.put("b.hpp", "#pragma once\n#include \"a.hpp\"\n");
    CHECK(names_of(include_closure::of({{at / "a.hpp"}, {}, {}, {}})) == "a.hpp b.hpp");
}

TEST_CASE("what cannot be followed is an error that says where") {
    mediant::test::temporary_folder at;
    const auto error_in = [&](std::string_view text, std::vector<std::filesystem::path> dirs = {}) {
        at.put("nic.hpp", "#include \"deep.hpp\"\n");
        at.put("deep.hpp", "\n\n" + std::string{text});
        return error_of({{at / "nic.hpp"}, std::move(dirs), {}, {}});
    };
    CHECK_THAT(error_in("#include <vector>\n"), Contains("deep.hpp:3: #include <vector> is not found"));
    CHECK_THAT(error_in("#include <vector>\n"), Contains("\n    included from " + (at / "nic.hpp").string() + ":1"));
    CHECK_THAT(error_in("#include \"gone.hpp\"\n"), Contains("deep.hpp:3: #include \"gone.hpp\" is not found"));
    CHECK_THAT(error_in("#include <linux/pci.h>\n"), Contains("#if __STDC_HOSTED__"));
    CHECK_THAT(error_in("#if __has_include(<iostream>)\n#include <iostream>\n#endif\n"), Contains("deep.hpp:4: "));
    CHECK_THAT(error_in("#include HEADER\n"), Contains("deep.hpp:3: #include HEADER: a name that a macro makes"));
    CHECK_THAT(error_in("#include_next <array>\n"), Contains("#include_next <array> cannot be followed"));
    CHECK_THAT(error_in("#include \"/etc/hosts\"\n"), Contains("absolute path"));
    CHECK_THAT(error_in("#include \"a b.hpp\"\n"), Contains("not a name that can be copied"));
    CHECK_THAT(error_in("#include \"a/../nic.hpp\"\n"), Contains("\"..\" may only begin a name"));
    CHECK_THAT(error_in("#include <array>\n", {at / "nowhere"}), Contains("nowhere: is not a folder"));
    CHECK(error_in("#if __has_include(\"local.hpp\")\n#include \"local.hpp\"\n#endif\n#include <cstdint>\n") ==
          "no error");
    CHECK_THAT(error_of({{at / "none.hpp"}, {}, {}, {}}), Contains("none.hpp: no such header"));
}

TEST_CASE("no name leads out of a folder") {
    mediant::test::temporary_folder at;
    at.put("secret.hpp", "");
    at.put("sdk/acme/nic.hpp", "#include \"../../secret.hpp\"\n");
    CHECK_THAT(error_of({{at / "sdk/acme/nic.hpp"}, {at / "sdk"}, {}, {}}), Contains("leads out of the folder"));
    at.put("sdk/acme/nic.hpp", "#include <../secret.hpp>\n");
    CHECK_THAT(error_of({{at / "sdk/acme/nic.hpp"}, {at / "sdk"}, {}, {}}), Contains("leads out of the folder"));
}

TEST_CASE("two files for one name are an error that names both") {
    mediant::test::temporary_folder at;
    at.put("vendor/nic.hpp", "#include \"types.hpp\"\n#include <types.hpp>\n#include <sdk.hpp>\n");
    at.put("vendor/types.hpp", "");
    at.put("sdk/types.hpp", "");
    at.put("sdk/sdk.hpp", "");
    const std::string why = error_of({{at / "vendor/nic.hpp"}, {at / "sdk"}, {}, {}});
    CHECK_THAT(why, Contains("two headers have one name in the tree"));
    CHECK_THAT(why, Contains("vendor/types.hpp"));
    CHECK_THAT(why, Contains("sdk/types.hpp"));
}
