// SPDX-License-Identifier: BSD-3-Clause
// libFuzzer target: recordings, and the kernel's text that becomes one. Whatever comes, it is read to its end or to
// where it is damaged; what was read is written and read again as it was; and a replay of it into the example's
// provider ends, with a device that opens again.
//
// The first byte says what the rest is: a file; events of one block, whose checksum is made right; the kernel's text.
// runs: 20000
// long: 1500000
#include "../../examples/edu/edu.hpp"
#include "../unit/trace/events.hpp"

#include <mediant/device/edu.hpp>
#include <mediant/provider/stack.hpp>
#include <mediant/trace/kernel_text.hpp>
#include <mediant/trace/replay.hpp>

#include <cstdio>
#include <cstdlib>
#include <string_view>

using namespace mediant;
using namespace mediant::trace;
using namespace mediant::test;

namespace {

void require(bool what, const char* why) {
    if (what) return;
    std::fprintf(stderr, "%s\n", why);
    std::abort();
}

void check_file(std::span<const std::byte> file) {
    reader from{file};
    const std::vector<event> events = all_of(from);
    require(!from.next(), "more comes behind the end");
    require(!(from.damaged() && from.finished()), "damaged and finished");
    require(from.damaged().offset <= file.size(), "damage behind the file");
    require(from.seen() == events.size(), "another number of events");

    const auto written = recording_of(events, 50);
    reader again{written};
    require(all_of(again) == events, "what was written again is read otherwise");
    require(again.finished(), "what was written again is damaged");

    // Memory for DMA is made of files: not too many here.
    std::size_t mappings = 0;
    for (const event& each : events) mappings += each.what == action::map_dma;
    if (mappings > 4) return;
    static device::edu edu{4};
    stack<device::edu, acme::edu> device{edu};
    reader third{written};
    std::uint64_t told = 0;
    const replay_summary came = replay<decltype(device)>::run(third, device, {}, [&](const difference&) { ++told; });
    require(came.different == told, "differences that were not told");
    require(came.different <= came.compared, "more differences than answers");
    require(static_cast<bool>(device.open()), "the device does not open again");
    device.release();
}

void check_text(std::string_view text) {
    std::vector<event> events;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const kernel_line line = parse_kernel_line(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.what != kernel_line::kind::event) continue;
        event made = line.event;
        if (!events.empty() && made.time < events.back().time) made.time = events.back().time;
        events.push_back(made);
    }
    const auto file = recording_of(events, 10);
    reader from{file};
    require(all_of(from) == events, "what was converted is read otherwise");
    check_file(file);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const auto rest = std::as_bytes(std::span{data + 1, size - 1});
    switch (data[0] % 3) {
    case 0: check_file(rest); break;
    case 1: {
        std::vector<std::byte> file = head_of_file();
        append_block(file, block_type::identity, payload_of(data[0] >= 128 ? some_identity() : identity{}));
        append_block(file, block_type::events, rest);
        check_file(file);
        break;
    }
    default: check_text({reinterpret_cast<const char*>(data + 1), size - 1}); break;
    }
    return 0;
}
