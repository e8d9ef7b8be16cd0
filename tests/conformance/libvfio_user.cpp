// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// Random accesses to the example provider on the simulated edu device, over vfio-user through mediant's own server and
/// through libvfio-user, compared answer by answer; then the same without a provider.
///
///   libvfio_user [--seed N|random] [--count N]

#include "compare.hpp"
#include "over_vfio_user.hpp"

#include "../../examples/edu/edu.hpp"

#include <mediant/libvfio_user/server.hpp>
#include <mediant/provider/stack.hpp>

#include <exception>
#include <type_traits>

namespace mediant::conformance {

/// Where libvfio-user listens.
template <class Device>
struct listens<libvfio_user::server<Device>> {
    [[nodiscard]] static std::string at(std::string path) { return path; }
};

} // namespace mediant::conformance

namespace {

using namespace mediant;
using namespace mediant::conformance;

/// The table of differences has one line: a part of an access. mediant's server tells how many bytes were done;
/// libvfio-user has no way to, and answers with the error that stopped the rest (handle_region_access in its source).
[[nodiscard]] bool is_a_part(const operation& what, const outcome& native) {
    return what.what != operation::kind::reset && native.error == error::none && native.count != what.size;
}

template <class... Policies>
bool compare(const std::string& title, const territory& where, const rules& front, const options& how) {
    device::edu here{front.max_access};
    stack<device::edu, Policies...> native{here};
    over_vfio_user<decltype(native)> expected{native};

    device::edu there{front.max_access};
    stack<device::edu, Policies...> behind{there};
    over_vfio_user<decltype(behind), libvfio_user::server> got{behind};

    settle_edu(expected);
    settle_edu(got);
    if (!where.shaped_config.empty()) {
        settle_bars(expected);
        settle_bars(got);
    }
    const auto all = generator{where, how.seed}.make(how.count);
    describe(where, all);
    const std::string name = title + ", libvfio-user, " + std::string{front.name};
    const transcript native_answers = perform(expected, all);
    transcript answers = perform(got, all);
    std::size_t parts = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (!is_a_part(all[i], native_answers[i])) continue;
        ++parts;
        // Else it shows as different.
        if (answers[i].count == 0 && answers[i].error != error::none) answers[i] = native_answers[i];
    }
    std::printf("%zu answers of a part are errors through libvfio-user\n", parts);
    bool same = equal(name, how.seed, all, native_answers, answers);

    std::vector<operation> steps;
    const transcript polled = polled_script(expected, steps);
    steps.clear();
    const transcript polled_there = polled_script(got, steps);
    return equal(name + ", script", how.seed, steps, polled, polled_there) && same;
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
        }
        return same ? 0 : 1;
    } catch (const std::exception& e) {
        std::fprintf(stderr, "error: %s\n", e.what());
        return 2;
    }
}
