// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/requests.hpp>
#include <mediant/core/result.hpp>
#include <mediant/core/verified.hpp>
#include <mediant/kernel/bpf.h>
#include <mediant/kernel/bpf_facts.hpp>
#include <mediant/provider/layer.hpp>
#include <mediant/provider/traits.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>

/// The C++ half of a BPF provider: a policy behind functions that the programs of provider.bpf.c consist of. All of it
/// is inlined there, so that the verifier follows each access from the program's argument to the device.
namespace mediant::kernel {

// The host's functions, which provider.bpf.c declares for the kernel. mediant/kernel/bpf.h says what they do.
extern "C" {
unsigned char* mediant_bpf_state(mediant_bpf_call* call, unsigned long rdwr_buf_size) noexcept;
int mediant_bpf_load(mediant_bpf_call* call, unsigned int region, unsigned long long offset, unsigned int width,
                     unsigned long long* value) noexcept;
int mediant_bpf_store(mediant_bpf_call* call, unsigned int region, unsigned long long offset, unsigned int width,
                      unsigned long long value) noexcept;
int mediant_bpf_ask(mediant_bpf_call* call, unsigned int what, unsigned int index, mediant_bpf_answer* answer) noexcept;
int mediant_bpf_reset_device(mediant_bpf_call* call) noexcept;
void mediant_bpf_log(mediant_bpf_call* call, const char* text__str, const mediant_bpf_numbers* numbers) noexcept;
void mediant_bpf_dirty(mediant_bpf_call* call, unsigned long long iova, unsigned long long size) noexcept;
int mediant_bpf_trigger(mediant_bpf_call* call, unsigned int index, unsigned int vector) noexcept;
}

/// The device below a BPF provider: a lower over the host's functions.
class bpf_device {
public:
    constexpr explicit bpf_device(mediant_bpf_call* call) noexcept : call_{call} {}

    [[nodiscard]] static constexpr unsigned max_access() noexcept { return 8; }

    [[nodiscard]] result<std::uint64_t> load(region_index region, std::uint64_t offset, unsigned width) const noexcept {
        unsigned long long value = 0;
        if (const int done = mediant_bpf_load(call_, number(region), offset, width, &value); done != 0)
            return failed(done);
        return std::uint64_t{value};
    }
    result<void> store(region_index region, std::uint64_t offset, unsigned width, std::uint64_t value) const noexcept {
        return failed(mediant_bpf_store(call_, number(region), offset, width, value));
    }

    [[nodiscard]] result<get_device_info::answer> ioctl(const get_device_info&) const noexcept {
        mediant_bpf_answer out{};
        if (const int done = mediant_bpf_ask(call_, MEDIANT_DEVICE_INFO, 0, &out); done != 0) return failed(done);
        return get_device_info::answer{static_cast<std::uint32_t>(out.values[0]),
                                       static_cast<std::uint32_t>(out.values[1]), out.values[2] != 0};
    }
    [[nodiscard]] result<get_region_info::answer> ioctl(const get_region_info& what) const noexcept {
        mediant_bpf_answer out{};
        if (const int done = mediant_bpf_ask(call_, MEDIANT_REGION_INFO, number(what.region), &out); done != 0)
            return failed(done);
        return get_region_info::answer{out.values[0], region_flags{static_cast<std::uint32_t>(out.values[1])}};
    }
    [[nodiscard]] result<get_irq_info::answer> ioctl(const get_irq_info& what) const noexcept {
        mediant_bpf_answer out{};
        if (const int done = mediant_bpf_ask(call_, MEDIANT_IRQ_INFO, static_cast<unsigned>(what.index), &out);
            done != 0)
            return failed(done);
        return get_irq_info::answer{irq_flags{static_cast<std::uint32_t>(out.values[0])},
                                    static_cast<std::uint32_t>(out.values[1])};
    }
    result<void> ioctl(const reset_device&) const noexcept { return failed(mediant_bpf_reset_device(call_)); }

    void dirty(std::uint64_t iova, std::uint64_t size) const noexcept { mediant_bpf_dirty(call_, iova, size); }

    template <std::same_as<std::uint64_t>... Numbers>
        requires(sizeof...(Numbers) <= 3)
    void log(const char* literal, Numbers... numbers) const noexcept {
        const mediant_bpf_numbers all{sizeof...(Numbers), 0, {numbers...}};
        mediant_bpf_log(call_, literal, &all);
    }

    /// As below_device's.
    result<void> trigger(irq_index index, std::uint32_t vector) const noexcept {
        return failed(mediant_bpf_trigger(call_, static_cast<unsigned>(index), vector));
    }

private:
    [[nodiscard]] static constexpr unsigned number(region_index region) noexcept {
        return static_cast<unsigned>(region);
    }
    /// The host answers errno numbers only; a comparison with each known one would be a branch each for the verifier.
    [[nodiscard]] static constexpr error failed(int negative) noexcept { return error{-negative}; }

    mediant_bpf_call* call_;
};

/// The programs of one provider. What they answer is said in mediant/kernel/bpf.h.
template <class P>
struct bpf_programs {
    static_assert(check_bpf_fitness<P>());

    using state = layer_state<P>;
    using layers = layer<P, bottom<bpf_device>, state&>;

    [[gnu::always_inline]] static int read(mediant_bpf_call* call, unsigned region, unsigned long long offset,
                                           unsigned size) noexcept {
        return within(call, [&](layers& all) __attribute__((always_inline)) {
            std::uint64_t value = 0;
            const mediant::answer done = all.read_first(region_index{region}, offset, size, value);
            call->value = value;
            return answered(done);
        });
    }
    [[gnu::always_inline]] static int write(mediant_bpf_call* call, unsigned region, unsigned long long offset,
                                            unsigned size, unsigned long long value) noexcept {
        return within(call, [&](layers& all) __attribute__((always_inline)) {
            return answered(all.write_first(region_index{region}, offset, size, value));
        });
    }
    [[gnu::always_inline]] static int open(mediant_bpf_call* call) noexcept {
        void* const at = state_of(call);
        if (at == nullptr) return -to_errno(error::io);
        construct(static_cast<std::byte*>(at));
        return within(call, [](layers& all) __attribute__((always_inline)) {
            return -to_errno(all.open().error());
        });
    }
    [[gnu::always_inline]] static int release(mediant_bpf_call* call) noexcept {
        return within(call, [](layers& all) __attribute__((always_inline)) {
            all.release();
            return 0;
        });
    }
    [[gnu::always_inline]] static int reset(mediant_bpf_call* call) noexcept {
        return within(call, [](layers& all) __attribute__((always_inline)) {
            all.reset();
            return 0;
        });
    }

    [[gnu::always_inline]] static int device_info(mediant_bpf_call* call) noexcept {
        return within(call, [&](layers& all) __attribute__((always_inline)) {
            const auto info = all.ioctl(get_device_info{});
            return info ? answer(call, info->regions, info->irqs, info->can_reset) : -to_errno(info.error());
        });
    }
    [[gnu::always_inline]] static int region_info(mediant_bpf_call* call, unsigned region) noexcept {
        return within(call, [&](layers& all) __attribute__((always_inline)) {
            const auto info = all.ioctl(get_region_info{region_index{region}});
            return info ? answer(call, info->size, static_cast<std::uint32_t>(info->flags)) : -to_errno(info.error());
        });
    }
    [[gnu::always_inline]] static int irq_info(mediant_bpf_call* call, unsigned index) noexcept {
        return within(call, [&](layers& all) __attribute__((always_inline)) {
            const auto info = all.ioctl(get_irq_info{irq_index{index}});
            return info ? answer(call, static_cast<std::uint32_t>(info->flags), info->count) : -to_errno(info.error());
        });
    }
    [[gnu::always_inline]] static int reset_device(mediant_bpf_call* call) noexcept {
        return within(call, [](layers& all) __attribute__((always_inline)) {
            return -to_errno(all.ioctl(mediant::reset_device{}).error());
        });
    }

private:
    static_assert(alignof(state) == 8);
    template <class State>
    static constexpr State initial{};

    /// In words, from a constant where the compiler knows what it is: BPF has no function that clears or copies much at
    /// once, which construction in place may come to. Words of the constant are read as the object has them, where the
    /// bytes that no member lies in are zeros; to the compiler they are undefined, and so would be the register that
    /// they come to, which the verifier refuses.
    [[gnu::always_inline]] static void construct(std::byte* to) noexcept {
        if constexpr (requires { typename std::bool_constant<(state{}, true)>; } && sizeof(state) % 8 == 0) {
            const auto* from = reinterpret_cast<const std::byte*>(&initial<state>);
            asm volatile("" : "+r"(from)); // what lies there is forgotten
            for (std::size_t at = 0; at < sizeof(state); at += 8) {
                std::uint64_t word = 0;
                __builtin_memcpy(&word, __builtin_assume_aligned(from + at, 8), 8);
                asm volatile("" : "+r"(word)); // a word is copied, not all of them by a call
                __builtin_memcpy(to + at, &word, 8);
            }
        } else {
            ::new (to) state;
        }
    }

    /// Null where the host has less of it than this object was made for.
    [[gnu::always_inline]] static void* state_of(mediant_bpf_call* call) noexcept {
        return __builtin_assume_aligned(mediant_bpf_state(call, bpf_state_size<P>), 8);
    }
    [[gnu::always_inline]] static int answer(mediant_bpf_call* call, std::uint64_t first, std::uint64_t second,
                                             std::uint64_t third = 0) noexcept {
        call->answers[0] = first;
        call->answers[1] = second;
        call->answers[2] = third;
        return 0;
    }
    template <class F>
    [[gnu::always_inline]] static int within(mediant_bpf_call* call, const F& f) noexcept {
        void* const at = state_of(call);
        if (at == nullptr) return -to_errno(error::io);
        bpf_device device{call};
        layers all{bottom<bpf_device>{device}, *static_cast<state*>(at)};
        return f(all);
    }
    [[gnu::always_inline]] static int answered(const mediant::answer& done) noexcept {
        return done.count != 0 ? static_cast<int>(done.count) : -to_errno(done.error);
    }
};

} // namespace mediant::kernel
