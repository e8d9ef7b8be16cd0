// SPDX-License-Identifier: BSD-3-Clause
// libFuzzer target: streams of a migration. Whatever comes, in whatever pieces: it is taken whole, and is then what is
// saved again, or it is refused, and after a reset the device is as before and takes a good stream.
//
// The first byte says in pieces of what size the stream comes, and whether the chunks' checksums are made right; the
// rest is the stream, which begins as a good one if the second byte is odd.
// runs: 5000
// long: 500000
#include "../unit/migration/policies.hpp"

#include <cstdio>
#include <cstdlib>

using namespace mediant;
using namespace mediant::test;

namespace {

using device_stack = stack<device::edu, bystander, keeper>;

struct machine {
    device::edu edu;
    device_stack device{edu};
    machine() {
        if (!device.open()) std::abort();
    }
};

void require(bool what, const char* why) {
    if (what) return;
    std::fprintf(stderr, "%s\n", why);
    std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const auto good = [] {
        machine source;
        use(source.device);
        return save(source.device);
    }();
    if (size < 2) return 0;
    const std::size_t piece = data[0] % 64 + 1u;
    std::vector<std::byte> stream;
    if (data[1] % 2 != 0) {
        // What the input says is laid over a good stream: two bytes of where, one of what.
        stream = good;
        for (std::size_t i = 2; i + 2 < size; i += 3)
            stream[(data[i] | std::size_t{data[i + 1]} << 8) % stream.size()] ^= std::byte{data[i + 2]};
    } else {
        for (std::size_t i = 2; i < size; ++i) stream.push_back(std::byte{data[i]});
    }
    if (data[0] >= 64) mend(stream);

    machine target;
    if (restore(target.device, stream, piece)) {
        const auto again = save(target.device);
        require(!again.empty(), "what was restored cannot be saved");
        machine other;
        require(restore(other.device, again), "what was saved again is refused");
        require(looks(other.device) == looks(target.device), "what was saved again is another state");
        require(save(other.device) == again, "what is saved twice differs");
    } else {
        require(target.device.migration() == migration_state::error, "a refused stream leaves another state than error");
        require(!to_text(target.device.migration_report().what).empty(), "no reason");
        require(static_cast<bool>(target.device.ioctl(reset_device{})), "cannot be reset");
        machine fresh;
        auto seen = looks(target.device), untouched = looks(fresh.device);
        require(std::equal(seen.begin() + 4, seen.end(), untouched.begin() + 4), "something of a refused stream stayed");
        require(restore(target.device, good), "a good stream is refused after a bad one");
    }
    return 0;
}
