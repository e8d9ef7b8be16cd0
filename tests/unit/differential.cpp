// SPDX-License-Identifier: BSD-3-Clause
#include "differential.hpp"

#include <mediant/provider/stack.hpp>

// A stack in process, which splits accesses by itself.

using namespace mediant;
using namespace mediant::test;

namespace {

template <class... Policies>
void both_widths(int accesses) {
    compare_front<stack<revocable, Policies...>, Policies...>(seed(), 4, accesses);
    compare_front<stack<revocable, Policies...>, Policies...>(seed() + 1, 8, accesses);
}

} // namespace

TEST_CASE("dwords of every kind, backing and hook as the model") { both_widths<dwords>(20000); }
TEST_CASE("registers of every width as the model") { both_widths<widths>(20000); }
TEST_CASE("fields, arrays, aliases, widths and hooks after writes as the model") { both_widths<shapes>(40000); }
TEST_CASE("ranges that are switched as the model") { both_widths<switched>(20000); }
TEST_CASE("generated maps of everything as the model") {
    both_widths<everything>(20000);
    both_widths<every_dword>(20000);
    both_widths<every_register>(20000);
    both_widths<shapes, everything>(5000);
    both_widths<every_register, shapes, every_dword>(5000);
}
TEST_CASE("generated maps as the model") {
    both_widths<bytewise>(5000);
    both_widths<dense>(5000);
    both_widths<aligned>(5000);
    both_widths<only_registers>(5000);
    both_widths<spread>(2500);
}
TEST_CASE("stacks of two and three as the model") {
    both_widths<widths, dwords>(10000);
    both_widths<bytewise, widths, dwords>(5000);
    both_widths<dwords, aligned, dense>(5000);
}
