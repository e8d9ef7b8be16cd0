// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/device/unique_fd.hpp>

#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <system_error>
#include <utility>
#include <vector>

namespace mediant::vfio_user {

/// Waits for many devices at once: connections, messages, deadlines. Each is a source, added with endpoint{loop, …}.
///
/// Use it in one of three ways, from one thread: run(), which sleeps; spin(), which does not; or in a loop of one's
/// own: when fd() is readable call run_once(0). Threads of their own are a loop each.
class event_loop {
public:
    /// What waits in a loop. Not moved, and destroyed before the loop, outside of its calls.
    class source {
    public:
        source(const source&) = delete;
        source& operator=(const source&) = delete;

    protected:
        friend class event_loop;

        /// A descriptor in the loop's epoll set.
        struct watched {
            source* owner;
            int fd = -1;
            std::uint32_t events = 0;
        };
        static constexpr std::uint64_t never = ~std::uint64_t{0};

        explicit source(event_loop& loop) : loop_{&loop} { loop.add(*this); }
        ~source() { loop_->remove(*this); }
        [[nodiscard]] event_loop& loop() const noexcept { return *loop_; }

        /// A descriptor is ready. One call a batch of messages.
        virtual void ready(const watched& which, std::uint32_t events) = 0;
        /// The deadline has come.
        virtual void due(std::uint64_t now) = 0;
        /// What it asked for by call_again(), after others had their turn.
        virtual void go_on() = 0;
        /// The loop was stopped: lets go of whoever is served.
        virtual void stopped() noexcept = 0;

        /// Takes part in spin(): does what there is to do, without waiting.
        virtual void poll() = 0;
        /// Alone in a loop, a source may wait by itself until it has served a batch, which saves a system call; false:
        /// it cannot now. What it does then is over with wake(), from any thread and from signal handlers.
        [[nodiscard]] virtual bool wait() = 0;
        virtual void wake() noexcept = 0;
        /// After wait().
        virtual void waited() = 0;

    private:
        event_loop* loop_;
        std::uint64_t deadline_ = never;
        std::size_t place_ = npos; // in the heap of deadlines
        bool again_ = false;
    };

    /// Throws std::system_error where descriptors have run out.
    event_loop()
        : epoll_{::epoll_create1(EPOLL_CLOEXEC)}, wake_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)},
          timer_{::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)} {
        if (!epoll_ || !wake_ || !timer_) fail("event loop");
        for (const auto* each : {&wake_, &timer_}) {
            epoll_event event{};
            event.events = EPOLLIN;
            event.data.ptr = nullptr; // both are looked at in every turn
            if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, each->get(), &event) != 0) fail("epoll_ctl");
        }
    }
    event_loop(const event_loop&) = delete;
    event_loop& operator=(const event_loop&) = delete;

    /// Readable when run_once() has something to do.
    [[nodiscard]] int fd() const noexcept { return epoll_.get(); }

    /// Waits at most `timeout` milliseconds (-1: for ever), does what there is to do and returns; false when stop()
    /// was called. Waiting also ends at a signal.
    bool run_once(int timeout) {
        std::array<epoll_event, 64> events;
        const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()),
                                       again_.empty() ? timeout : 0);
        bool own = false;
        for (int i = 0; i < count && !stopped_.load(std::memory_order_relaxed); ++i) {
            const auto& event = events[static_cast<std::size_t>(i)];
            if (const auto* const which = static_cast<source::watched*>(event.data.ptr)) [[likely]]
                which->owner->ready(*which, event.events);
            else
                own = true;
        }
        if (own) [[unlikely]]
            look_at_own();
        if (stopped_.load()) return finish(), false;
        if (!again_.empty()) [[unlikely]]
            go_on();
        arm();
        return true;
    }

    /// Serves until stop().
    void run() {
        while (!stopped_.load()) {
            // Where there is nothing to wait for but one client, waiting for it alone saves a system call a batch.
            if (sources_.size() == 1 && again_.empty() && wait_in(*sources_[0])) continue;
            if (!run_once(-1)) return;
        }
        finish();
    }

    /// Serves until stop(), without ever sleeping: the shortest way for a message, at the price of a processor.
    void spin() {
        for (unsigned turn = 0; !stopped_.load(std::memory_order_relaxed); ++turn) {
            if (turn % 256 == 0) {
                if (!run_once(0)) return;
            } else {
                for (source* const each : sources_) each->poll();
            }
        }
        finish();
    }

    /// Ends run() and spin(), and makes run_once() return false. From any thread, and from a signal handler.
    void stop() noexcept {
        const int saved = errno;
        stopped_.store(true);
        // Who waits is not destroyed while somebody is in here.
        stoppers_.fetch_add(1);
        if (source* const waiting = waiting_.load()) waiting->wake();
        stoppers_.fetch_sub(1);
        notify();
        errno = saved;
    }

    // For sources.

    [[nodiscard]] bool stopping() const noexcept { return stopped_.load(); }

    /// Adds a descriptor, or changes what it waits for. Throws std::system_error.
    void watch(source::watched& which, int fd, std::uint32_t events) {
        const int how = which.fd == fd ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
        if (how == EPOLL_CTL_MOD && which.events == events) return;
        epoll_event event{};
        event.events = events;
        event.data.ptr = &which;
        if (::epoll_ctl(epoll_.get(), how, fd, &event) != 0) fail("epoll_ctl");
        which.fd = fd;
        which.events = events;
    }
    /// The descriptor stays open, and nothing of it is of interest, not even its end.
    void unwatch(source::watched& which) noexcept {
        if (which.fd >= 0) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, which.fd, nullptr);
        forget(which);
    }
    /// The descriptor was closed, or is about to be, which takes it out of the epoll set.
    static void forget(source::watched& which) noexcept {
        which.fd = -1;
        which.events = 0;
    }

    /// When a source is due, in nanoseconds of CLOCK_MONOTONIC.
    void set_deadline(source& which, std::uint64_t at) {
        if (which.deadline_ == at) return;
        which.deadline_ = at;
        if (at != source::never && which.place_ == npos) {
            which.place_ = heap_.size();
            heap_.push_back(&which); // of reserved room
        } else if (at == source::never) {
            source* const last = heap_.back();
            heap_.pop_back();
            const std::size_t place = std::exchange(which.place_, npos);
            if (last == &which) return;
            put(place, last);
            return sift(place);
        }
        sift(which.place_);
    }

    /// go_on() is called soon.
    void call_again(source& which) {
        if (std::exchange(which.again_, true)) return;
        again_.push_back(&which); // of reserved room
    }

    [[nodiscard]] static std::uint64_t now() noexcept {
        timespec time{};
        ::clock_gettime(CLOCK_MONOTONIC, &time);
        return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(time.tv_nsec);
    }

private:
    static constexpr std::size_t npos = ~std::size_t{0};

    [[noreturn]] static void fail(const char* what) { throw std::system_error{errno, std::generic_category(), what}; }

    void add(source& which) {
        sources_.push_back(&which);
        heap_.reserve(sources_.size() + 1);
        again_.reserve(sources_.size());
    }
    void remove(source& which) noexcept {
        set_deadline(which, source::never);
        std::erase(again_, &which);
        std::erase(sources_, &which);
    }

    void notify() const noexcept {
        const std::uint64_t one = 1;
        [[maybe_unused]] const auto written = ::write(wake_.get(), &one, sizeof one);
    }
    static void drain(int fd) noexcept {
        std::uint64_t times = 0;
        [[maybe_unused]] const auto got = ::read(fd, &times, sizeof times);
    }

    /// The timer has expired, or somebody woke us up.
    void look_at_own() {
        drain(wake_.get());
        drain(timer_.get());
        armed_ = source::never;
        const auto at = now();
        // As many as there are, so that one which is due again and again keeps nobody waiting.
        for (std::size_t left = heap_.size(); left != 0 && !heap_.empty() && heap_[0]->deadline_ <= at; --left) {
            source& first = *heap_[0];
            set_deadline(first, source::never);
            first.due(at);
        }
    }

    void go_on() {
        for (std::size_t left = again_.size(); left != 0; --left) {
            source& first = *again_.front();
            again_.erase(again_.begin());
            first.again_ = false;
            first.go_on();
        }
        // For those who wait for fd().
        if (!again_.empty()) notify();
    }

    /// Sets the timer to what comes first, if that has changed.
    void arm() {
        const std::uint64_t first = heap_.empty() ? source::never : heap_[0]->deadline_;
        if (first == armed_) return;
        armed_ = first;
        itimerspec when{};
        if (first != source::never) {
            const std::uint64_t at = std::max<std::uint64_t>(first, 1); // all zero would disarm it
            when.it_value.tv_sec = static_cast<time_t>(at / 1'000'000'000u);
            when.it_value.tv_nsec = static_cast<long>(at % 1'000'000'000u);
        }
        ::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &when, nullptr);
    }

    [[nodiscard]] bool wait_in(source& only) {
        if (only.deadline_ != source::never) return false;
        waiting_.store(&only);
        const bool done = !stopped_.load() && only.wait();
        waiting_.store(nullptr);
        while (stoppers_.load() != 0) ::sched_yield();
        if (done) {
            only.waited();
            arm(); // it may be due some time now
        }
        return done;
    }

    /// After stop(): ready to run again.
    void finish() {
        for (source* const each : sources_) each->stopped();
        drain(wake_.get());
        stopped_.store(false);
        arm();
    }

    /// Restores the order of the heap, where the deadline at `place` has changed.
    void sift(std::size_t place) noexcept {
        source* const moved = heap_[place];
        for (; place != 0 && heap_[(place - 1) / 2]->deadline_ > moved->deadline_; place = (place - 1) / 2)
            put(place, heap_[(place - 1) / 2]);
        for (std::size_t child; (child = 2 * place + 1) < heap_.size(); place = child) {
            if (child + 1 < heap_.size() && heap_[child + 1]->deadline_ < heap_[child]->deadline_) ++child;
            if (heap_[child]->deadline_ >= moved->deadline_) break;
            put(place, heap_[child]);
        }
        put(place, moved);
    }
    void put(std::size_t place, source* what) noexcept {
        heap_[place] = what;
        what->place_ = place;
    }

    device::unique_fd epoll_;
    device::unique_fd wake_;
    device::unique_fd timer_;
    std::vector<source*> sources_;
    std::vector<source*> heap_; // by deadline, the earliest first
    std::vector<source*> again_;
    std::uint64_t armed_ = source::never; // what the timer is set to
    std::atomic<bool> stopped_{false};
    std::atomic<source*> waiting_{nullptr};
    std::atomic<int> stoppers_{0};
    static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<source*>::is_always_lock_free);
};

} // namespace mediant::vfio_user
