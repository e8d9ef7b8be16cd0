// SPDX-License-Identifier: BSD-3-Clause

#include <mediant/kernel/module_tree.hpp>

#include <unit/temporary_folder.hpp>

#include <catch2/catch.hpp>

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

namespace {
using namespace mediant::kernel;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;
using strings = std::vector<std::string>;
} // namespace

TEST_CASE("a tree is written, and left alone where nothing changed") {
    mediant::test::temporary_folder at;
    const module_tree tree{at / "new/tree"};
    const tree_files files{{"Kbuild", "a\n"}, {"include/acme/nic.hpp", "b\n"}};
    CHECK(tree.differences(files) == strings{"missing: Kbuild", "missing: include/acme/nic.hpp"});
    CHECK(tree.write(files).written == strings{"Kbuild", "include/acme/nic.hpp"});
    CHECK(at.get("new/tree/include/acme/nic.hpp") == "b\n");
    CHECK(tree.differences(files).empty());

    const auto old = fs::last_write_time(at / "new/tree/Kbuild") - std::chrono::hours{1};
    fs::last_write_time(at / "new/tree/Kbuild", old);
    fs::last_write_time(at / "new/tree/mediant.manifest", old);
    const tree_changes again = tree.write({{"Kbuild", "a\n"}, {"include/acme/nic.hpp", "c\n"}});
    CHECK(again.written == strings{"include/acme/nic.hpp"});
    CHECK(again.kept == 1);
    CHECK(fs::last_write_time(at / "new/tree/Kbuild") == old);
    CHECK(fs::last_write_time(at / "new/tree/mediant.manifest") == old);
}

TEST_CASE("what an earlier emission wrote goes, what others made stays") {
    mediant::test::temporary_folder at;
    const module_tree tree{at / "tree"};
    static_cast<void>(tree.write({{"Kbuild", ""}, {"include/old/deep/a.hpp", ""}, {"include/b.hpp", ""}}));
    at.put("tree/policy.o", "built");
    at.put("tree/include/mine.hpp", "mine");
    const tree_files now{{"Kbuild", ""}};
    CHECK(tree.differences(now) == strings{"stale: include/b.hpp", "stale: include/old/deep/a.hpp"});
    CHECK(tree.write(now).removed == strings{"include/b.hpp", "include/old/deep/a.hpp"});
    CHECK_FALSE(fs::exists(at / "tree/include/old"));
    CHECK(at.get("tree/policy.o") == "built");
    CHECK(at.get("tree/include/mine.hpp") == "mine");
    CHECK(tree.differences(now).empty());
}

TEST_CASE("a folder that is not a tree is left alone") {
    mediant::test::temporary_folder at;
    at.put("home/thesis.txt", "years");
    CHECK_THROWS_WITH(module_tree{at / "home"}.write({{"thesis.txt", ""}}),
                      Contains("not empty and not made by this generator"));
    CHECK(at.get("home/thesis.txt") == "years");
    CHECK_THROWS_WITH(module_tree{at / "home/thesis.txt"}.write({{"a", ""}}), Contains("not a folder"));
    at.put("other/mediant.manifest", "something else\n");
    CHECK_THROWS_WITH(module_tree{at / "other"}.write({{"a", ""}}), Contains("not this generator's"));
    fs::create_directory(at / "empty");
    CHECK(module_tree{at / "empty"}.write({{"a", ""}}).written == strings{"a"});
}

TEST_CASE("nothing is written or removed outside of the tree") {
    mediant::test::temporary_folder at;
    const module_tree tree{at / "tree"};
    static_cast<void>(tree.write({{"a", "1"}, {"include/b", "1"}}));
    at.put("outside/b", "mine");

    CHECK_THROWS_AS(tree.write({{"../outside/b", "2"}}), shim_error);
    CHECK_THROWS_AS(tree.write({{"/" + std::string{"x"}, "2"}}), shim_error);

    // The manifest of a tree that came from elsewhere.
    mediant::test::temporary_folder other;
    static_cast<void>(module_tree{other.path()}.write({{"a", "1"}}));
    other.put("mediant.manifest", other.get("mediant.manifest") + "../outside/b\n");
    CHECK_THROWS_WITH(module_tree{other.path()}.write({{"a", "1"}}), Contains("outside the folder: ../outside/b"));

    // A link in place of a folder, and of a file.
    fs::remove_all(at / "tree/include");
    fs::create_directory_symlink(at / "outside", at / "tree/include");
    CHECK_THROWS_WITH(tree.write({{"include/b", "2"}}), Contains("a link leads out of the tree"));
    CHECK_THROWS_WITH(tree.write({{"a", "1"}}), Contains("a link leads out of the tree"));
    fs::remove(at / "tree/a");
    fs::create_symlink(at / "outside/b", at / "tree/a");
    fs::remove(at / "tree/include");
    static_cast<void>(tree.write({{"a", "2"}}));
    CHECK(at.get("tree/a") == "2");
    CHECK_FALSE(fs::is_symlink(at / "tree/a"));
    CHECK(at.get("outside/b") == "mine");
}
