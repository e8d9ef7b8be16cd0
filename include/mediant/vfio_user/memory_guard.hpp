// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <signal.h>
#include <sys/mman.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace mediant::vfio_user {

namespace detail {

/// What the handler sees of a watch. It reads slots that other threads are changing: an odd or another version
/// says so, and then the slot is none of the thread that faulted.
struct watched_mapping {
    std::atomic<bool> taken{false};
    std::atomic<unsigned> version{0};
    std::atomic<void*> begin{nullptr};
    std::atomic<std::size_t> size{0};
    std::atomic<std::atomic<bool>*> lost{nullptr};

    void change(void* to_begin, std::size_t to_size, std::atomic<bool>* to_lost) noexcept {
        version.fetch_add(1);
        begin.store(to_begin);
        size.store(to_size);
        lost.store(to_lost);
        version.fetch_add(1);
    }

    /// From the handler: whether the address was in here, and now has memory.
    [[nodiscard]] bool replace(std::uintptr_t address) noexcept {
        const unsigned seen = version.load();
        void* const from = begin.load();
        const std::size_t length = size.load();
        auto* const flag = lost.load();
        if (from == nullptr || (seen & 1) != 0 || version.load() != seen) return false;
        if (address - reinterpret_cast<std::uintptr_t>(from) >= length) return false;
        if (::mmap(from, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE,
                   -1, 0) == MAP_FAILED)
            return false;
        flag->store(true);
        return true;
    }
};
static_assert(std::atomic<std::atomic<bool>*>::is_always_lock_free && std::atomic<std::size_t>::is_always_lock_free);

/// Slots are used again and never freed: a handler may be looking at them.
struct watched_mappings {
    std::array<watched_mapping, 64> slots{};
    std::atomic<watched_mappings*> next{nullptr};
    std::atomic<std::size_t> hint{0}; // where a free one is likely
};

} // namespace detail

/// Watches one mapping of a file that a client can cut short.
///
/// Touching what such a file has lost raises SIGBUS. Where the address lies in a watched mapping, the handler puts
/// private memory of zeros in the mapping's place, sets the owner's flag, and the access goes on; nothing that it
/// does reaches the client any more. Any other SIGBUS goes to the handler that was there before. The handler is
/// installed with the first watch and stays; who installs one later and wants this one to work passes on what is not
/// theirs.
///
/// Watches may be made and destroyed by several threads; the mapping, the flag and their watch are one thread's.
class memory_guard {
public:
    memory_guard() noexcept = default;
    /// Throws std::bad_alloc. `lost` is set from a signal handler and must outlive the watch.
    memory_guard(void* begin, std::size_t size, std::atomic<bool>& lost) : slot_{&take()} {
        [[maybe_unused]] static const bool installed = install();
        slot_->change(begin, size, &lost);
    }
    memory_guard(memory_guard&& other) noexcept : slot_{std::exchange(other.slot_, nullptr)} {}
    memory_guard& operator=(memory_guard&& other) noexcept {
        std::swap(slot_, other.slot_);
        return *this;
    }
    /// To be destroyed before the mapping is.
    ~memory_guard() {
        if (slot_ == nullptr) return;
        slot_->change(nullptr, 0, nullptr);
        slot_->taken.store(false, std::memory_order_release);
    }

private:
    using slot = detail::watched_mapping;
    using block = detail::watched_mappings;

    [[nodiscard]] static slot& take() {
        for (block* in = &first_;;) {
            for (std::size_t i = 0, at = in->hint.load(std::memory_order_relaxed); i < in->slots.size(); ++i) {
                slot& each = in->slots[(at + i) % in->slots.size()];
                if (!each.taken.load(std::memory_order_relaxed) && !each.taken.exchange(true)) {
                    in->hint.store((at + i + 1) % in->slots.size(), std::memory_order_relaxed);
                    return each;
                }
            }
            block* next = in->next.load();
            if (next == nullptr) {
                auto* const fresh = new block;
                if (in->next.compare_exchange_strong(next, fresh))
                    next = fresh;
                else
                    delete fresh; // another thread was first
            }
            in = next;
        }
    }

    [[nodiscard]] static bool install() noexcept {
        struct sigaction ours {};
        ours.sa_sigaction = handle;
        ours.sa_flags = SA_SIGINFO | SA_ONSTACK;
        ::sigemptyset(&ours.sa_mask);
        return ::sigaction(SIGBUS, nullptr, &before_) == 0 && ::sigaction(SIGBUS, &ours, nullptr) == 0;
    }

    static void handle(int signal, siginfo_t* what, void* context) {
        const int saved = errno;
        // Of a file that has lost pages (a positive code: the kernel's word, not somebody's kill).
        if (what->si_code > 0) {
            const auto address = reinterpret_cast<std::uintptr_t>(what->si_addr);
            for (block* in = &first_; in != nullptr; in = in->next.load()) {
                for (slot& each : in->slots) {
                    if (each.replace(address)) {
                        errno = saved;
                        return;
                    }
                }
            }
        }
        errno = saved;
        if ((before_.sa_flags & SA_SIGINFO) != 0) {
            before_.sa_sigaction(signal, what, context);
        } else if (before_.sa_handler != SIG_DFL && before_.sa_handler != SIG_IGN) {
            before_.sa_handler(signal);
        } else {
            // As without us: a fault happens again on return, a kill is sent again.
            struct sigaction none {};
            none.sa_handler = SIG_DFL;
            ::sigaction(SIGBUS, &none, nullptr);
            if (what->si_code <= 0) ::raise(signal);
        }
    }

    inline static block first_{};
    inline static struct sigaction before_ {};

    slot* slot_ = nullptr;
};

} // namespace mediant::vfio_user
