// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// Random accesses to the example provider on the simulated edu device, in process, over vfio-user, and over a second
/// vfio-user server that mediates what the first offers, compared answer by answer; then the same without a provider.
///
///   in_process_and_vfio_user [--seed N|random] [--count N]

#include "compare.hpp"
#include "over_vfio_user.hpp"

#include "../../examples/edu/edu.hpp"

#include <mediant/provider/stack.hpp>
#include <mediant/vfio_user/remote_device.hpp>

#include <exception>

namespace {

using namespace mediant;
using namespace mediant::conformance;

template <class Stack, world There>
bool equal_in(const std::string& title, const territory& where, const rules& front, const options& how, Stack& local,
              There& got) {
    in_process<Stack> expected{local, front};
    settle_edu(expected);
    settle_edu(got);
    if (!where.shaped_config.empty()) {
        settle_bars(expected);
        settle_bars(got);
    }

    const auto all = generator{where, how.seed}.make(how.count);
    describe(where, all);
    const std::string name = title + ", " + std::string{front.name};
    bool same = equal(name, how.seed, all, perform(expected, all), perform(got, all));

    std::vector<operation> steps;
    const transcript polled = polled_script(expected, steps);
    steps.clear();
    const transcript polled_there = polled_script(got, steps);
    same &= equal(name + ", script", how.seed, steps, polled, polled_there);
    return same;
}

template <class... Policies>
bool compare(const std::string& title, const territory& where, const rules& front, const options& how) {
    device::edu here{front.max_access};
    stack<device::edu, Policies...> local{here};
    must(local.open(), "open");

    device::edu there{front.max_access};
    stack<device::edu, Policies...> served{there};
    over_vfio_user got{served};
    const bool same = equal_in(title, where, front, how, local, got);
    local.release();
    return same;
}

/// The policies stand in a server between the client and one that offers the bare device.
template <class... Policies>
bool compare_between(const std::string& title, const territory& where, const rules& front, const options& how) {
    device::edu here{front.max_access};
    stack<device::edu, Policies...> local{here};
    must(local.open(), "open");

    device::edu there{front.max_access};
    stack<device::edu> bare{there};
    const served back{bare};
    vfio_user::remote_device remote{{.path = back.socket()}};
    stack<vfio_user::remote_device, Policies...> mediated{remote};
    over_vfio_user got{mediated};
    const bool same = equal_in(title + " between", where, front, how, local, got);
    local.release();
    return same;
}

} // namespace

int main(int argc, char** argv) {
    try {
        const options how = parse(argc, argv);
        territory mediated = edu_territory();
        mediated.around<acme::edu::bar0>();
        mediated.untouched = {{device::edu::factorial, 4}}; // the DMA block is virtual
        bool same = true;
        for (const rules& front : {vfio_user_4, vfio_user_8}) {
            same &= compare<acme::edu>("acme::edu", mediated, front, how);
            same &= compare<>("no provider", edu_territory(), front, how);
            same &= compare<shaped_edu>("shaped_edu", shaped_edu_territory(), front, how);
            same &= compare_between<acme::edu>("acme::edu", mediated, front, how);
            same &= compare_between<>("no provider", edu_territory(), front, how);
            same &= compare_between<shaped_edu>("shaped_edu", shaped_edu_territory(), front, how);
        }
        return same ? 0 : 1;
    } catch (const std::exception& e) {
        std::fprintf(stderr, "error: %s\n", e.what());
        return 2;
    }
}
