// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// A recording without memory for what is to be recorded. operator new is this file's.

#include "events.hpp"

#include <unit/temporary_folder.hpp>

#include <mediant/device/edu.hpp>
#include <mediant/provider/stack.hpp>
#include <mediant/trace/recorded.hpp>
#include <mediant/trace/recorder.hpp>

#include <catch2/catch.hpp>

#include <cstddef>
#include <cstdlib>
#include <new>

namespace {
bool none_left = false;
} // namespace

void* operator new(std::size_t size) {
    if (none_left) throw std::bad_alloc{};
    if (void* const at = std::malloc(size)) return at;
    throw std::bad_alloc{};
}
void operator delete(void* at) noexcept { std::free(at); }
void operator delete(void* at, std::size_t) noexcept { std::free(at); }

using namespace mediant;
using namespace mediant::trace;

TEST_CASE("a release that cannot be recorded releases the device, and throws nothing") {
    test::temporary_folder at;
    device::edu edu;
    stack<device::edu> bare{edu};
    recorder to{{.path = (at / "recording").string()}, test::some_identity()};
    recorded<stack<device::edu>> device{bare, to};
    REQUIRE(device.open());
    bool thrown = false;
    none_left = true;
    try {
        device.release();
    } catch (const std::bad_alloc&) {
        thrown = true;
    }
    none_left = false;
    CHECK_FALSE(thrown);
    CHECK(device.open());
    device.release();
}
