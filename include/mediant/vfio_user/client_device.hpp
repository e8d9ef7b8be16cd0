// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/requests.hpp>
#include <mediant/core/result.hpp>
#include <mediant/vfio_user/client.hpp>
#include <mediant/vfio_user/wire.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

namespace mediant::vfio_user {

/// What a server offers, called as a device is: each call is the client's command as it is, so that the answers are the
/// server's own. (A lower of a stack is remote_device.) Each open() connects. One call at a time.
class client_device {
public:
    explicit client_device(std::string path, std::chrono::milliseconds patience = std::chrono::seconds{10})
        : path_{std::move(path)}, patience_{patience} {}

    /// The error of connect(2), or of the server.
    result<void> open() {
        auto connected = client::connect(path_);
        if (!connected) return connected.error();
        client_ = std::move(*connected);
        if (const auto set = client_.set_timeout(patience_); !set) return set;
        const auto agreed = client_.negotiate();
        return agreed ? result<void>{} : agreed.error();
    }
    void release() { client_.disconnect(); }

    answer read(const read_access& what) { return client_.read(what); }
    answer write(const write_access& what) { return client_.write(what); }

    result<get_device_info::answer> ioctl(const get_device_info&) { return client_.device_info(); }
    result<get_region_info::answer> ioctl(const get_region_info& what) {
        auto found = client_.region_info(what.region);
        if (!found) return found.error();
        return found->info;
    }
    result<get_irq_info::answer> ioctl(const get_irq_info& what) { return client_.irq_info(what.index); }
    result<void> ioctl(const set_irqs& what) { return client_.set_irqs(what); }
    result<void> ioctl(const reset_device&) { return client_.reset(); }
    /// From its file, where it has one.
    result<void> ioctl(const map_dma& what) {
        if (what.file < 0) return client_.map_dma(what.iova, what.memory);
        const std::uint32_t flags = (what.readable ? wire::dma_map_read : 0u) |
                                    (what.writable ? wire::dma_map_write : 0u);
        return client_.map_dma(what.iova, what.size, flags, what.file, what.file_offset);
    }
    result<void> ioctl(const unmap_dma& what) { return client_.unmap_dma(what.iova, what.size); }

private:
    std::string path_;
    std::chrono::milliseconds patience_;
    client client_;
};

} // namespace mediant::vfio_user
