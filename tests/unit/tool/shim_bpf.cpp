// SPDX-License-Identifier: BSD-3-Clause

#include <edu/edu.hpp>

#include <mediant/mediant.hpp>
#include <mediant/tool/tool.hpp>

#include <unit/temporary_folder.hpp>

#include <catch2/catch.hpp>

#include <filesystem>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace {
using Catch::Matchers::Contains;

struct outcome {
    int code;
    std::string out;
    std::string err;
};
outcome run(std::vector<std::string> words) {
    words.insert(words.begin(), "acme-edu");
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    std::ostringstream out;
    std::ostringstream err;
    const int code =
        mediant::tool<mediant::registry<acme::edu>>(static_cast<int>(argv.size()), argv.data(), out, err);
    return {code, out.str(), err.str()};
}
} // namespace

TEST_CASE("shim writes a BPF provider's tree, says what is not in it, and checks it") {
    mediant::test::temporary_folder at;
    const std::string tree = (at / "tree").string();
    const outcome made = run({"shim", "edu", "--target", "bpf", "--out", tree});
    CHECK(made.err == "note: edu: what it states of migration is not in the BPF object: a device under it does not "
                      "migrate; under a module of the same provider (--target provider, variant) it does\n");
    CHECK(made.code == 0);
    CHECK_THAT(at.get("tree/ops.h"), Contains("#define MEDIANT_OPS_NAME \"edu\"\n"));
    CHECK_THAT(at.get("tree/README.md"), Contains("## Migration\n"));

    const outcome same = run({"shim", "1234:11e8", "--target", "bpf", "--check", tree});
    CHECK(same.code == 0);
    CHECK_THAT(same.out, Contains("up to date"));
    at.put("tree/ops.h", "");
    std::filesystem::remove(at / "tree/reasons.awk");
    const outcome other = run({"shim", "edu", "--target", "bpf", "--check", tree});
    CHECK(other.code == 1);
    CHECK_THAT(other.out, Contains("differs: ops.h\n") && Contains("missing: reasons.awk\n"));

    const outcome versioned = run({"shim", "edu", "--target", "bpf", "--out", tree, "--module-version", "2"});
    CHECK(versioned.code == 1);
    CHECK_THAT(versioned.err, Contains("version 2: a BPF object has none"));
}
