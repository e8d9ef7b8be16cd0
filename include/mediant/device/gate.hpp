// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sched.h>

#include <atomic>
#include <cstdint>

namespace mediant::device {

/// Lets many threads in at a time, or one that has closed it. Both hold it for short work that waits for nothing.
class gate {
public:
    void enter() noexcept {
        while ((state_.fetch_add(1, std::memory_order_acquire) & closed) != 0) {
            state_.fetch_sub(1, std::memory_order_release);
            while ((state_.load(std::memory_order_relaxed) & closed) != 0) ::sched_yield();
        }
    }
    void leave() noexcept { state_.fetch_sub(1, std::memory_order_release); }

    /// Waits until those within have left. One thread at a time.
    void close() noexcept {
        state_.fetch_or(closed, std::memory_order_acquire);
        while (state_.load(std::memory_order_acquire) != closed) ::sched_yield();
    }
    void open() noexcept { state_.fetch_and(~closed, std::memory_order_release); }

private:
    static constexpr std::uint32_t closed = 1u << 31;
    std::atomic<std::uint32_t> state_{0};
};

/// Within a gate for as long as it lives.
class entered {
public:
    explicit entered(gate& through) noexcept : through_{through} { through_.enter(); }
    entered(const entered&) = delete;
    entered& operator=(const entered&) = delete;
    ~entered() { through_.leave(); }

private:
    gate& through_;
};

/// Closes a gate for as long as it lives.
class shut {
public:
    explicit shut(gate& which) noexcept : which_{which} { which_.close(); }
    shut(const shut&) = delete;
    shut& operator=(const shut&) = delete;
    ~shut() { which_.open(); }

private:
    gate& which_;
};

} // namespace mediant::device
