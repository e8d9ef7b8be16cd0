// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// What the programs of these tests say and count: a line for each check that fails, and their number at the end.

#ifndef MEDIANT_TESTS_GUEST_EXPECT_HPP
#define MEDIANT_TESTS_GUEST_EXPECT_HPP

#include "vfio_client.hpp"

#include <atomic>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string>

namespace mediant::guest {

inline const char* test_name = "";
inline std::atomic<int> checks{0}; // several threads may check
inline std::atomic<int> failures{0};

inline void section(const char* name) { std::printf("%s: %s\n", test_name, name); }

inline void expect(const std::string& what, std::uint64_t got, std::uint64_t wanted) {
    ++checks;
    if (got == wanted) return;
    ++failures;
    std::printf("FAILED %s: got 0x%" PRIx64 ", expected 0x%" PRIx64 "\n", what.c_str(), got, wanted);
}

inline void expect(const std::string& what, outcome got, outcome wanted) {
    ++checks;
    if (got == wanted) return;
    ++failures;
    std::printf("FAILED %s: got {%" PRId64 ", %s}, expected {%" PRId64 ", %s}\n", what.c_str(), got.count,
                std::strerror(got.error), wanted.count, std::strerror(wanted.error));
}

inline void expect(const std::string& what, const std::string& got, const std::string& wanted) {
    ++checks;
    if (got == wanted) return;
    ++failures;
    std::printf("FAILED %s: got \"%s\", expected \"%s\"\n", what.c_str(), got.c_str(), wanted.c_str());
}

/// main() of a test: runs it, and ends with 0 if all was as expected.
template <class F>
int run_test(const char* name, F&& test) {
    test_name = name;
    // Line by line, so that a guest that dies shows how far it came.
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    try {
        test();
        std::printf("%s: %d checks, %d failed\n", name, checks.load(), failures.load());
        return failures == 0 ? 0 : 1;
    } catch (const std::exception& e) {
        std::printf("%s: %s\n", name, e.what());
        return 1;
    }
}

} // namespace mediant::guest

#endif
