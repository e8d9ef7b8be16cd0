// SPDX-License-Identifier: BSD-3-Clause
#include "suite.hpp"

#include <dirent.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <utility>

namespace wire_conformance {

void conversation::connect(bool agree) {
    wire_.reset();
    wire_.emplace(connect_());
    if (agree) within("VERSION", [&] { (void)expect(version_of(usual_capabilities)); });
}

std::uint16_t conversation::send(bytes whole, std::span<const int> fds) {
    set_id(whole, ++id_);
    wire_->send(whole, fds);
    return id_;
}

reply conversation::answer_to(std::uint16_t id, std::uint16_t what) {
    auto came = wire_->receive();
    require(came.id == id, "answers with the ID of another message");
    require(came.command == what, "answers with another command");
    return came;
}

reply conversation::ask(const bytes& whole, std::span<const int> fds) {
    return answer_to(send(whole, fds), at<std::uint16_t>(whole, 2));
}

reply conversation::expect(const bytes& whole, std::optional<std::size_t> payload, std::span<const int> fds) {
    auto came = ask(whole, fds);
    require(!came.failed, "fails with " + name_of(came.error));
    require(!payload || came.payload.size() == *payload,
            "answers with " + std::to_string(came.payload.size()) + " bytes");
    return came;
}

void conversation::works() {
    within("afterwards", [&] { (void)expect(info_of(), 16); });
}

void conversation::refused(const bytes& whole, std::uint32_t error, std::span<const int> fds) {
    const auto came = ask(whole, fds);
    require(came.failed, "succeeds");
    require(error == 0 || came.error == error, "fails with " + name_of(came.error));
    works();
}

void conversation::answered(const bytes& whole, std::span<const int> fds) {
    (void)ask(whole, fds);
    works();
}

bytes conversation::read(std::uint32_t region, std::uint64_t offset, std::uint32_t count) {
    auto came = expect(read_of(offset, count, region), 16 + count);
    require(at<std::uint64_t>(came.payload, 0) == offset && at<std::uint32_t>(came.payload, 8) == region &&
                at<std::uint32_t>(came.payload, 12) == count,
            "answers a read with another offset, region or count");
    return {came.payload.begin() + 16, came.payload.end()};
}

void conversation::write(std::uint32_t region, std::uint64_t offset, const bytes& data) {
    const auto came = expect(write_of(offset, data, region), 16);
    require(at<std::uint64_t>(came.payload, 0) == offset && at<std::uint32_t>(came.payload, 8) == region &&
                at<std::uint32_t>(came.payload, 12) == data.size(),
            "answers a write with another offset, region or count");
}

std::size_t conversation::server_files() {
    const std::string folder = "/proc/" + std::to_string(wire_->process()) + "/fd";
    DIR* const open = ::opendir(folder.c_str());
    if (open == nullptr) return 0;
    std::size_t count = 0;
    while (::readdir(open) != nullptr) ++count;
    ::closedir(open);
    return count;
}

unique_fd memory_file(std::uint64_t size) {
    unique_fd fd{::memfd_create("memory", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
    if (!fd || ::ftruncate(fd.get(), static_cast<off_t>(size)) != 0) throw observed{"no memory file here"};
    return fd;
}

unique_fd event_file() { return unique_fd{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)}; }

std::uint64_t drain(int fd) {
    std::uint64_t count = 0;
    return ::read(fd, &count, sizeof count) == sizeof count ? count : 0;
}

std::uint32_t signalling_irq(const device_facts& device) {
    for (std::uint32_t i = 0; i < device.irqs.size(); ++i)
        if (device.irqs[i].count != 0 && (device.irqs[i].flags & 1) != 0) return i;
    throw not_offered{"no interrupt with eventfds"};
}

} // namespace wire_conformance
