// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <signal.h>

#include <array>
#include <atomic>
#include <cstddef>

namespace mediant::command_line {

/// While it lives, SIGINT and SIGTERM stop something instead of ending the program. One at a time.
class stop_on_signal {
public:
    stop_on_signal() {
        caught_.store(false);
        struct sigaction action {};
        action.sa_handler = handle;
        ::sigemptyset(&action.sa_mask);
        for (std::size_t i = 0; i < signals.size(); ++i) ::sigaction(signals[i], &action, &old_[i]);
    }
    stop_on_signal(const stop_on_signal&) = delete;
    stop_on_signal& operator=(const stop_on_signal&) = delete;
    ~stop_on_signal() {
        target_.store(nullptr);
        for (std::size_t i = 0; i < signals.size(); ++i) ::sigaction(signals[i], &old_[i], nullptr);
    }

    /// From now on a signal calls `what.stop()`, which must be safe in a handler; at once where one came before.
    template <class Stoppable>
    void stops(Stoppable& what) {
        stop_.store([](void* target) { static_cast<Stoppable*>(target)->stop(); });
        target_.store(&what);
        if (caught_.load()) what.stop();
    }
    /// What was stopped until now is about to go.
    void stops_nothing() noexcept { target_.store(nullptr); }

private:
    static void handle(int) {
        caught_.store(true);
        if (void* const target = target_.load()) stop_.load()(target);
    }

    static constexpr std::array signals{SIGINT, SIGTERM};
    inline static std::atomic<bool> caught_{false};
    inline static std::atomic<void (*)(void*)> stop_{nullptr};
    inline static std::atomic<void*> target_{nullptr};
    static_assert(std::atomic<void*>::is_always_lock_free && std::atomic<void (*)(void*)>::is_always_lock_free);

    std::array<struct sigaction, signals.size()> old_{};
};

} // namespace mediant::command_line
