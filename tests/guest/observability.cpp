// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// Runs in a guest: what an administrator sees of the edu example's provider, under the driver that is named: events
/// in tracefs for each access, which it leaves in /out, and the map and counters of an open device in debugfs.
///
///   observability DRIVER [ADDRESS]

#include "vfio_client.hpp"

#include <cstdio>
#include <fstream>
#include <ios>
#include <iterator>
#include <string>

#include <sys/mount.h>

namespace {

using namespace mediant::guest;

constexpr std::uint32_t bar0 = VFIO_PCI_BAR0_REGION_INDEX;
int checks = 0;
int failures = 0;

void expect(const std::string& what, bool good, const std::string& seen = {}) {
    ++checks;
    if (good) return;
    ++failures;
    std::printf("FAILED %s\n%s", what.c_str(), seen.c_str());
}

std::string text_of(const std::string& path) {
    std::ifstream in{path};
    return {std::istreambuf_iterator<char>{in}, {}};
}

void mount_once(const char* type, const std::string& at) {
    if (::mount(type, at.c_str(), type, 0, nullptr) != 0 && errno != EBUSY) fail(errno, std::string{"mount "} + type);
}

void holds(const std::string& text, const std::string& line) {
    expect("\"" + line + "\" in:", text.find(line) != text.npos, text);
}

int run(const std::string& driver, const std::string& address) {
    const std::string tracing = "/sys/kernel/tracing/";
    const std::string debug = "/sys/kernel/debug/";
    mount_once("tracefs", tracing);
    mount_once("debugfs", debug);
    if (!bind(address, driver)) fail(EBUSY, driver + " did not take " + address);
    const std::string file = debug + driver + '/' + address;
    expect("nobody mediates a device that is not open", text_of(file) == "provider: none\n", text_of(file));
    {
        const container space;
        const device edu{space, address};
        edu.enable();
        const std::string fresh = text_of(file);
        holds(fresh, "provider: edu\nbar 0: 0x100000 bytes\n  trapped 0x0-0x3\n  trapped 0x20-0x23\n"
                     "  trapped 0x28-0x37\n  trapped 0x80-0x9f\n  trapped 0x40000-0x40fff\n"
                     "  mappable 0x1000-0x3ffff\n  mappable 0x41000-0xfffff\n");
        holds(fresh, "reads: 0\nwrites: 0\n");

        write_attribute(tracing + "events/" + driver + "/enable", "1");
        static_cast<void>(edu.get<std::uint32_t>(bar0, 0x00));             // IDENT, which asks the device
        static_cast<void>(edu.get<std::uint32_t>(bar0, 0x04));             // LIVE, which passes
        edu.put<std::uint16_t>(bar0, 0x82, 0xabcd);                        // a shadow
        edu.put<std::uint32_t>(bar0, 0x20, 0x80);                          // STATUS, of which nothing is left
        write_attribute(tracing + "events/" + driver + "/enable", "0");
        static_cast<void>(edu.get<std::uint32_t>(bar0, 0x30));             // not seen
        const std::string trace = text_of(tracing + "trace");
        const std::string at = address + " region=0 ";
        holds(trace, "mediant_below: " + at + "offset=0x0 width=4 load value=0x10000ed result=0\n");
        holds(trace, "mediant_access: " + at + "offset=0x0 count=4 read trapped value=0x1ac00ed result=4\n");
        holds(trace, "mediant_access: " + at + "offset=0x4 count=4 read passed value=0x0 result=4\n");
        holds(trace, "mediant_access: " + at + "offset=0x82 count=2 write trapped value=0xabcd result=2\n");
        holds(trace, "mediant_below: " + at + "offset=0x20 width=4 store value=0x0 result=0\n");
        expect("no event when off", trace.find("offset=0x30") == trace.npos, trace);
        // For who converts and replays it.
        std::ofstream{"/out/" + driver + ".trace.txt", std::ios::binary} << trace;

        edu.reset();
        const std::string used = text_of(file);
        holds(used, "reads: 2\nwrites: 2\n");
        holds(used, "stores: 1\ninterrupts: 0\nresets: 1\n");
    }
    expect("nobody mediates it after close", text_of(file) == "provider: none\n", text_of(file));
    unbind(address);
    expect("the file is gone", !std::filesystem::exists(file));
    std::printf("observability of %s: %d checks, %d failed\n", driver.c_str(), checks, failures);
    return failures == 0 ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) {
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    try {
        const std::optional<std::string> address = argc > 2 ? argv[2] : find_pci(0x1234, 0x11e8);
        if (argc < 2 || !address) fail(EINVAL, "a driver is needed, and an edu device");
        return run(argv[1], *address);
    } catch (const std::exception& e) {
        std::printf("observability: %s\n", e.what());
        return 1;
    }
}
