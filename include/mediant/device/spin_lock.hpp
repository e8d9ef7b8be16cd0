// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sched.h>

#include <atomic>

namespace mediant::device {

/// A lock of one byte, for what is done at once: with std::lock_guard. What a thread wrote before it locks is seen by
/// others before what it does within.
class spin_lock {
public:
    void lock() noexcept {
        while (locked_.exchange(true)) {
            // Held for a system call at most: soon free, unless whoever has it does not run.
            for (int looks = 0; locked_.load(std::memory_order_relaxed); ++looks)
                if (looks > 1000) ::sched_yield();
        }
    }
    void unlock() noexcept { locked_.store(false, std::memory_order_release); }

private:
    std::atomic<bool> locked_{false};
};

} // namespace mediant::device
