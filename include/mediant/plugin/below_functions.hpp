// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/lower.hpp>
#include <mediant/core/requests.hpp>
#include <mediant/core/result.hpp>
#include <mediant/kernel/abi.h>

#include <cstdint>
#include <cstring>
#include <vector>

namespace mediant::plugin::detail {

/// A lower, as abi.h's functions over a pointer to it.
template <lower Lower>
class below_functions {
public:
    [[nodiscard]] static mediant_below table_of(Lower& device) {
        return {sizeof(mediant_below), MEDIANT_ABI_VERSION, device.max_access(), 0, &device, load, store, region_size,
                write_log, device_info, region_info, irq_info, reset, revoke, regions_changed, start_log, stop_log,
                report_log, dirty, trigger};
    }

private:
    static int load(void* device, unsigned region, unsigned long long offset, unsigned width,
                    unsigned long long* value) {
        const result<std::uint64_t> loaded = of(device).load(region_index{region}, offset, width);
        if (loaded) *value = *loaded;
        return number(loaded.error());
    }
    static int store(void* device, unsigned region, unsigned long long offset, unsigned width,
                     unsigned long long value) {
        return number(of(device).store(region_index{region}, offset, width, value).error());
    }
    static unsigned long long region_size(void* device, unsigned region) {
        const auto info = ask(device, get_region_info{region_index{region}});
        return info ? info->size : 0;
    }
    static void write_log(void* device, const char* text, unsigned count, unsigned long long a, unsigned long long b,
                          unsigned long long c) {
        if constexpr (requires { of(device).log(text, std::uint64_t{}); }) {
            switch (count) {
            case 0: return of(device).log(text);
            case 1: return of(device).log(text, std::uint64_t{a});
            case 2: return of(device).log(text, std::uint64_t{a}, std::uint64_t{b});
            default: return of(device).log(text, std::uint64_t{a}, std::uint64_t{b}, std::uint64_t{c});
            }
        }
    }
    static int device_info(void* device, unsigned* regions, unsigned* irqs, unsigned* can_reset) {
        const auto info = ask(device, get_device_info{});
        if (!info) return number(info.error());
        *regions = info->regions;
        *irqs = info->irqs;
        *can_reset = info->can_reset ? 1 : 0;
        return 0;
    }
    static int region_info(void* device, unsigned region, unsigned long long* size, unsigned* flags) {
        const auto info = ask(device, get_region_info{region_index{region}});
        if (!info) return number(info.error());
        *size = info->size;
        *flags = static_cast<unsigned>(info->flags);
        return 0;
    }
    static int irq_info(void* device, unsigned index, unsigned* flags, unsigned* count) {
        const auto info = ask(device, get_irq_info{irq_index{index}});
        if (!info) return number(info.error());
        *flags = static_cast<unsigned>(info->flags);
        *count = info->count;
        return 0;
    }
    static int start_log(void* device, unsigned long long page, const mediant_range* ranges, unsigned count,
                         unsigned long long* tracked) {
        std::vector<range> all(count);
        // Who made them may have made them of the one type or of the other, which have one layout.
        if (count != 0) std::memcpy(static_cast<void*>(all.data()), ranges, count * sizeof *ranges);
        const auto now = ask(device, start_dma_logging{page, all});
        if (now) *tracked = *now;
        return number(now.error());
    }
    static int stop_log(void* device) { return number(ask(device, stop_dma_logging{}).error()); }
    static int report_log(void* device, unsigned long long iova, unsigned long long length, unsigned long long page,
                          unsigned long long* bits, unsigned words, unsigned forgets) {
        std::vector<std::uint64_t> all(words);
        const auto done = ask(device, report_dma_logging{iova, length, page, all, forgets != 0});
        if (done && words != 0) std::memcpy(bits, all.data(), words * sizeof *bits);
        return number(done.error());
    }
    static void dirty(void* device, unsigned long long iova, unsigned long long size) {
        if constexpr (requires { of(device).dirty(iova, size); })
            of(device).dirty(iova, size);
    }
    static int trigger(void* device, unsigned index, unsigned vector) {
        if constexpr (requires { of(device).trigger(irq_index{index}, vector); })
            return number(of(device).trigger(irq_index{index}, vector).error());
        else
            return number(error::not_supported);
    }
    static int reset(void* device) { return number(ask(device, reset_device{}).error()); }
    // What a plug-in switches passes by accesses alone: there is nothing to take back, and nothing new to map.
    static int revoke(void*, unsigned, unsigned long long, unsigned long long) { return 0; }
    static void regions_changed(void*) {}

    [[nodiscard]] static Lower& of(void* device) noexcept { return *static_cast<Lower*>(device); }
    [[nodiscard]] static int number(error what) noexcept { return -to_errno(what); }
    template <request R>
    [[nodiscard]] static result<typename R::answer> ask(void* device, const R& what) {
        return bottom<Lower>{of(device)}.ioctl(what);
    }
};

} // namespace mediant::plugin::detail
