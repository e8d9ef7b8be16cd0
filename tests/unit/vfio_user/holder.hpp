// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/device/dma_map.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <thread>

namespace vfio_user_test {

/// A thread that holds a lease until it is told to end it, or for so long.
class holder {
public:
    holder(mediant::device::dma_map& dma, std::uint64_t iova, std::chrono::milliseconds length)
        : thread_{[this, &dma, iova, length] {
              const auto lease = dma.lease(iova, 0x1000, mediant::device::dma_map::direction::both);
              held_ = lease.has_value() ? 1 : -1;
              const auto until = std::chrono::steady_clock::now() + length;
              while (!stop_ && std::chrono::steady_clock::now() < until) std::this_thread::yield();
              if (lease) *lease->bytes().data() = std::byte{0x77}; // the mapping is there: else this faults
              ended_ = true;
          }} {
        while (held_ == 0) std::this_thread::yield();
    }
    ~holder() { stop(); }
    void stop() {
        stop_ = true;
        if (thread_.joinable()) thread_.join();
    }
    [[nodiscard]] bool held() const { return held_ == 1; }
    [[nodiscard]] bool ended() const { return ended_; }

private:
    std::atomic<int> held_{0};
    std::atomic<bool> ended_{false};
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

} // namespace vfio_user_test
