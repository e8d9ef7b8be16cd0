// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// A recording of one world, replayed in another: in process, over vfio-user, and back.

#include <conformance/compare.hpp>
#include <conformance/over_vfio_user.hpp>
#include <edu/edu.hpp>
#include <unit/temporary_folder.hpp>

#include <mediant/device/edu.hpp>
#include <mediant/provider/stack.hpp>
#include <mediant/trace/reader.hpp>
#include <mediant/trace/recorded.hpp>
#include <mediant/trace/recorder.hpp>
#include <mediant/trace/replay.hpp>
#include <mediant/vfio_user/any_device.hpp>
#include <mediant/vfio_user/client_device.hpp>
#include <mediant/vfio_user/server.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <ios>
#include <iterator>
#include <span>
#include <string>
#include <vector>

#include <sys/eventfd.h>
#include <unistd.h>

using namespace mediant;
using namespace mediant::trace;
using namespace mediant::conformance;

namespace {

using edu_stack = stack<device::edu, acme::edu>;

std::string text_of(const std::filesystem::path& path) {
    std::ifstream in{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, {}};
}

territory mediated() {
    territory where = edu_territory();
    where.around<acme::edu::bar0>();
    where.untouched = {{device::edu::factorial, 4}};
    return where;
}

template <class Device>
replay_summary replayed(const std::string& file, Device& device, const replay_options& how = {}) {
    reader from{std::as_bytes(std::span{file})};
    const replay_summary out = replay<Device>::run(from, device, how, [](const difference& one) {
        WARN(one.number << ": " << to_text(one.what) << " at " << one.expected.offset << ", expected "
                        << one.expected.count << " bytes " << one.expected.value() << " error "
                        << to_errno(one.expected.error) << ", got " << one.got.count << " error "
                        << to_errno(one.got.error));
    });
    CHECK(from.finished());
    return out;
}

void use(auto& device) {
    const territory where = mediated();
    for (const operation& one : generator{where, 7}.make(3000)) {
        auto bytes = one.bytes;
        const auto part = std::span{bytes}.first(one.size);
        if (one.what == operation::kind::reset)
            (void)device.ioctl(reset_device{});
        else if (one.what == operation::kind::read)
            (void)device.read(read_access{one.region, one.offset, part});
        else
            (void)device.write(write_access{one.region, one.offset, part});
    }
    const int eventfd = ::eventfd(0, EFD_CLOEXEC);
    const std::array fds{eventfd};
    CHECK(device.ioctl(set_irqs{irq_index::msi, set_irqs::action::trigger, set_irqs::data::eventfds, 0, 1, {}, fds}));
    CHECK(device.ioctl(set_irqs{irq_index::msi, set_irqs::action::trigger, set_irqs::data::none, 0, 1, {}, {}}));
    CHECK(device.ioctl(set_irqs{irq_index::msi, set_irqs::action::trigger, set_irqs::data::none, 0, 0, {}, {}}));
    ::close(eventfd);
}

std::string recorded_in_process() {
    test::temporary_folder at;
    const std::string path = (at / "recording").string();
    device::edu edu{4};
    edu_stack bare{edu};
    REQUIRE(bare.open());
    const identity who = identity_of(bare, "edu", "in process");
    bare.release();
    {
        recorder to{{.path = path}, who};
        recorded<edu_stack> device{bare, to};
        REQUIRE(device.open());
        use(device);
        device.release();
    }
    return text_of(path);
}

} // namespace

TEST_CASE("what was recorded in process is answered alike over vfio-user") {
    const std::string file = recorded_in_process();
    device::edu edu{4};
    edu_stack device{edu};
    const served there{device};
    vfio_user::client_device target{there.socket()};
    const replay_summary came = replayed(file, target);
    CHECK(came.different == 0);
    CHECK(came.compared > 2500);
    CHECK(came.skipped == 0);
    CHECK(came.ignored == 0);
}

TEST_CASE("what a server recorded is answered alike in process, and as any device") {
    test::temporary_folder at;
    const std::string path = (at / "recording").string();
    tapped<device::edu> edu{4};
    stack<tapped<device::edu>, acme::edu> bare{edu};
    REQUIRE(bare.open());
    const identity who = identity_of(bare, "edu", "vfio-user");
    bare.release();
    {
        recorder to{{.path = path}, who};
        edu.records_to(&to);
        vfio_user::any_device_of<decltype(bare)> any{bare};
        recorded<vfio_user::any_device> front{any, to};
        {
            const served there{front};
            vfio_user::client_device user{there.socket()};
            REQUIRE(user.open());
            CHECK_FALSE(has(user.ioctl(get_region_info{bar{0}})->flags, region_flags::mmap));
            use(user);
            std::vector<std::byte> memory(4096);
            CHECK(user.ioctl(
                map_dma{.iova = 0x1000, .size = 4096, .readable = true, .writable = true, .memory = memory}));
            CHECK(user.ioctl(unmap_dma{0x1000, 4096}));
            user.release();
        }
        edu.records_to(nullptr);
    }
    const std::string file = text_of(path);
    device::edu other{4};
    edu_stack same{other};
    const replay_summary came = replayed(file, same);
    CHECK(came.different == 0);
    CHECK(came.compared > 2500);

    device::edu third{4};
    edu_stack over{third};
    const served again{over};
    vfio_user::client_device target{again.socket()};
    CHECK(replayed(file, target).different == 0);
}

TEST_CASE("without a server the first difference is that it does not open") {
    vfio_user::client_device nobody{"/nonexistent/socket"};
    const replay_summary came = replayed(recorded_in_process(), nobody);
    CHECK(came.different == 1);
    CHECK(came.skipped > 2500);
}
